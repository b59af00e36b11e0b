"""Gated PixelCNN: two stacks of convolutions that together see every earlier pixel.

van den Oord et al. (2016), arXiv:1606.05328, section 2, fig. 2 (stacks), eqs. 3-5 (gates, labels,
maps). A stack for pixel_network.py, a decoder for subscale.py. Needs torch only.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _gate(a: Tensor) -> Tensor:
    """tanh(first half) * sigmoid(second half): (B, 2 C, H, W) -> (B, C, H, W)."""
    value, gate = a.chunk(2, 1)
    return torch.tanh(value) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """One layer of both stacks, residual; the vertical one feeds the horizontal one, not back.

    At place (i, j) the vertical feature v has used rows above i, the horizontal feature h those
    and the part of row i before j. So v may be mixed over all columns, h over columns up to j,
    and what h receives from v needs no further shift.

    Parameters
    ----------
    width : channels of v and of h. kernel : odd; v sees kernel columns and kernel // 2 + 1 rows.
    place : (H, W). places : learn a bias for every place, else one for all.
    condition : module that maps labels or a map to (B, 4 width) or (B, 4 width, H, W); or None.
    dropout : share of the feature maps left out. last : nothing above reads v.
    dilation : distance between the rows and columns of the kernel.

    Note: the paper has no biases by place and no residual connection in the vertical stack.
    """

    def __init__(
        self,
        width: int,
        place: tuple[int, int],
        kernel: int = 3,
        condition: nn.Module | None = None,
        dropout: float = 0.0,
        last: bool = False,
        dilation: int = 1,
        places: bool = True,
    ):
        super().__init__()
        self.reach, double, taps = dilation * (kernel // 2), 2 * width, kernel // 2 + 1
        self.vertical = nn.Conv2d(width, double, (taps, kernel), dilation=dilation)
        self.horizontal = nn.Conv2d(width, double, (1, taps), dilation=dilation)
        self.link = nn.Conv2d(double, double, 1)
        self.v_out = None if last else nn.Conv2d(width, width, 1)
        self.h_out = nn.Conv2d(width, width, 1)
        self.condition = condition
        self.place, sides = tuple(place), place if places else (1, 1)
        self.v_place = None if last else nn.Parameter(torch.zeros(1, double, *sides))
        self.h_place = nn.Parameter(torch.zeros(1, double, *sides))
        self.dropout = nn.Dropout2d(dropout)

    def biases(self, y: Tensor | None) -> list[Tensor | None]:
        """What the place, and labels (B,) or a map (B, *, H, W), add to v and h before the gates.

        (B or 1, 2 width, H, W) each.
        """
        given = [0.0, 0.0]
        if self.condition is not None:
            c = self.condition(y)
            given = (c if c.dim() == 4 else c[..., None, None]).chunk(2, 1)
        here = (self.v_place, self.h_place)
        return [
            None if bias is None else (bias + c).expand(-1, -1, *self.place)
            for bias, c in zip(here, given, strict=True)
        ]

    def rows(self, v: Tensor, bias: Tensor, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Rows of the vertical stack: v (B, width, n + reach, W) -> what h gets, and the new v.

        (B, 2 width, n, W) and (B, width, n, W); the top ``reach`` rows of v are only looked at.
        """
        a = self.vertical(F.pad(v, (self.reach, self.reach)))
        link = self.link(a)
        if self.v_out is None:
            return link, None
        new = self.v_out(self.dropout(_gate(a + bias[:, :, rows])))
        return link, v[:, :, self.reach :] + new

    def columns(self, h: Tensor, link: Tensor, bias: Tensor, rows: slice, cols: slice) -> Tensor:
        """Columns of the horizontal stack: h (B, width, m, n + reach) -> (B, width, m, n)."""
        a = self.horizontal(h) + link + bias[:, :, rows, cols]
        return h[..., self.reach :] + self.h_out(self.dropout(_gate(a)))

    def forward(self, v: Tensor, h: Tensor, y: Tensor | None = None) -> tuple:
        """v, h (B, width, H, W) and a condition -> the next v (None after the last layer) and h."""
        for_v, for_h = self.biases(y)
        everywhere = slice(None)
        link, v = self.rows(F.pad(v, (0, 0, self.reach, 0)), for_v, everywhere)
        h = self.columns(F.pad(h, (self.reach, 0)), link, for_h, everywhere, everywhere)
        return v, h


class GatedPixelCNN(nn.Module):
    """Features (B, width, H, W) of an image, each place using strictly earlier places only.

    Parameters
    ----------
    in_features : channels of the input. shape : (C, H, W) of the images; H and W count here.
    width, blocks, kernel : of the layers. dilations : of the layers in turn, over and over.
    places : learn biases for every place in every layer, else in the first alone.
    n_classes, context_dim : what ``y`` is, labels 0 .. n_classes-1 (B,) or a map
        (B, context_dim, H, W) of which every place sees its own column; 0 for none.
    first : odd, columns the first layer sees; it is strict: rows above, columns to the left.
    dropout : share of the feature maps of each layer left out in training.

    Examples
    --------
    >>> net = GatedPixelCNN(3, (1, 8, 8), width=4, blocks=2)
    >>> net(torch.randn(5, 3, 8, 8)).shape
    torch.Size([5, 4, 8, 8])
    """

    def __init__(
        self,
        in_features: int,
        shape: tuple[int, int, int],
        width: int = 32,
        blocks: int = 6,
        kernel: int = 3,
        first: int = 5,
        n_classes: int = 0,
        context_dim: int = 0,
        dropout: float = 0.0,
        dilations: Sequence[int] = (1,),
        places: bool = True,
    ):
        super().__init__()
        for name, size in (("kernel", kernel), ("first", first)):
            if size < 3 or size % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 3, got {size}")
        if width < 1 or blocks < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "width and blocks must be at least 1, dropout in [0, 1), "
                f"got {width}, {blocks} and {dropout}"
            )
        if min(n_classes, context_dim) < 0 or (n_classes and context_dim):
            raise ValueError(
                f"n_classes or context_dim, not both, got {n_classes} and {context_dim}"
            )
        if not dilations or min(dilations) < 1:
            raise ValueError(f"dilations must be whole numbers from 1, got {dilations}")
        place, self.width, self.reach = tuple(shape[1:]), width, first // 2
        # the first layer, strict: rows above, and columns on the left
        self.above = nn.Conv2d(in_features, width, (self.reach, first))
        self.left = nn.Conv2d(in_features, width, (1, self.reach))
        self.v_place = nn.Parameter(torch.zeros(1, width, *place))
        self.h_place = nn.Parameter(torch.zeros(1, width, *place))
        # then blocks, each told the condition
        self.layers = nn.ModuleList()
        for k in range(blocks):
            condition = nn.Conv2d(context_dim, 4 * width, 1) if context_dim else None
            condition = nn.Embedding(n_classes, 4 * width) if n_classes else condition
            if n_classes:
                nn.init.zeros_(condition.weight)
            rest = dict(last=k == blocks - 1, dilation=dilations[k % len(dilations)], places=places)
            self.layers.append(GatedLayer(width, place, kernel, condition, dropout, **rest))
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x (B, in_features, H, W), and y if there are conditions -> (B, width, H, W)."""
        r = self.reach
        v = self.above(F.pad(x, (r, r, r, 0))[:, :, :-1]) + self.v_place  # rows i - r .. i - 1
        h = self.left(F.pad(x, (r, 0))[..., :-1]) + self.h_place  # columns j - r .. j - 1
        for layer in self.layers:
            v, h = layer(v, h, y)
        return self.out(F.silu(h))

    def cache(self, n: int, y: Tensor | None = None) -> "GatedCache":
        """A function (x, i, j) -> (n, width) that computes the feature of one place, in raster
        order, out of what it kept; x (n, in_features, H, W) must be final before (i, j)."""
        return GatedCache(self, n, y)


class GatedCache:
    """The stacks, unrolled: rows of v once per row, one place of h per pixel."""

    def __init__(self, net: GatedPixelCNN, n: int, y: Tensor | None):
        self.net, self.biases = net, [layer.biases(y) for layer in net.layers]
        height, width = net.v_place.shape[2:]
        blank = lambda layer, down, right: net.v_place.new_zeros(  # noqa: E731
            n, net.width, height + down * layer.reach, width + right * layer.reach
        )
        self.v = [blank(layer, 1, 0) for layer in net.layers]  # inputs, padded at the top
        self.h = [blank(layer, 0, 1) for layer in net.layers]  # inputs, padded on the left
        self.links = [None] * len(net.layers)

    def __call__(self, x: Tensor, i: int, j: int) -> Tensor:
        """The feature (n, width) of place (i, j)."""
        if j == 0:
            self._new_row(x, i)
        net, r = self.net, self.net.reach
        row, column = slice(i, i + 1), slice(j, j + 1)
        seen = F.pad(x[:, :, row], (r, 0))[..., j : j + r]
        h = net.left(seen) + net.h_place[:, :, row, column]
        for k, layer in enumerate(net.layers):
            self.h[k][:, :, i, j + layer.reach] = h[..., 0, 0]
            window = self.h[k][:, :, row, j : j + layer.reach + 1]
            h = layer.columns(window, self.links[k][..., column], self.biases[k][1], row, column)
        return net.out(F.silu(h))[..., 0, 0]

    def _new_row(self, x: Tensor, i: int) -> None:
        """The vertical stack of row i, all columns at once: it needs the rows above only."""
        net, r = self.net, self.net.reach
        v = net.above(F.pad(x, (r, r, r, 0))[:, :, i : i + r]) + net.v_place[:, :, i : i + 1]
        for k, layer in enumerate(net.layers):
            self.v[k][:, :, i + layer.reach] = v[:, :, 0]
            window = self.v[k][:, :, i : i + layer.reach + 1]
            self.links[k], v = layer.rows(window, self.biases[k][0], slice(i, i + 1))
