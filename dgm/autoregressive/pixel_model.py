"""The probability around a pixel network: exact likelihood, completions, labels, cached sampling.

van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, eqs. 1-2 (raster order, softmax);
labels: van den Oord et al. (2016), arXiv:1606.05328, eq. 4. Needs torch only.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LevelSoftmax:
    """The free law of levels: parameters (..., levels) are its logits."""

    def __init__(self, parameters: Tensor, levels: int):
        if parameters.shape[-1] != levels:
            raise ValueError(f"parameters must end in {levels} logits, got {parameters.shape[-1]}")
        self.logits = parameters

    def table(self) -> Tensor:
        """Log mass of every level, (..., levels) nats."""
        return self.logits.log_softmax(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log mass of the integers x (...), nats."""
        return self.table().gather(-1, x.unsqueeze(-1)).squeeze(-1)


def level_features(x: Tensor, levels: int, knots: int = 32) -> Tensor:
    """What a network sees of levels (B, C, H, W): (B, C * F, H, W), F = 1 + min(levels, knots).

    The level on [-1, 1], and hat functions at the knots: one-hot where each level has its own, else
    each level shared between its two neighbours.
    """
    knots = min(levels, knots)
    t = x.unsqueeze(2) / (levels - 1)  # (B, C, 1, H, W) in [0, 1]
    at = torch.arange(knots, device=x.device).view(-1, 1, 1)
    hats = (1 - ((knots - 1) * t - at).abs()).clamp(min=0)
    return torch.cat((2 * t - 1, hats), 2).flatten(1, 2)


class PixelModel(nn.Module):
    """p(x) = prod_i p(x_i | pixels above and to the left), exact, out of a causal network.

    Pixels come row by row; the colours of one pixel come one after the other. The network must use
    earlier pixels only; the colours of the pixel itself meet in the last layer here.

    Note: the papers split all feature maps by colour; for grey images that is the same.

    Parameters
    ----------
    net : nn.Module
        ``net(h)``, or ``net(h, y)`` with labels, maps (B, C * F, H, W), see `level_features`, to
        (B, net.width, H, W), where each place has used strictly earlier places. If it has
        ``cache(n, y)``, samples are drawn with it: a function (h, i, j) -> (n, width).
    shape, levels : (C, H, W) and the number of values 0 .. levels-1 of a pixel.
    n_classes : labels 0 .. n_classes-1 the network takes; 0 for none. All equally likely.
    law, start : the law of one pixel, ``law(parameters (..., K), levels)`` with ``log_prob(x)`` and
        ``table()``, and the parameters (K,) it begins at; a softmax, uniform, when left out.
    noise : share of the pixels that the network sees moved by up to 3 levels, in training only.
    dropout : of the last features, in training only.

    Examples
    --------
    >>> class Above(nn.Module):
    ...     width = 10
    ...     def forward(self, h):  # sees the pixel above
    ...         return F.pad(h, (0, 0, 1, 0))[:, :, :-1].repeat(1, 2, 1, 1)
    >>> model = PixelModel(Above(), (1, 8, 8), levels=4)
    >>> model.log_prob(model.sample(3)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, int, int],
        levels: int,
        n_classes: int = 0,
        law: Callable[[Tensor, int], object] = LevelSoftmax,
        start: Tensor | None = None,
        noise: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if len(shape) != 3 or min(shape) < 1 or levels is None or levels < 2:
            raise ValueError(f"shape is (C, H, W) and levels >= 2, got {shape} and {levels}")
        if n_classes < 0 or not 0 <= noise <= 1:
            raise ValueError(f"n_classes >= 0 and noise in [0, 1], got {n_classes} and {noise}")
        self.net, self.shape, self.levels, self.n_classes = net, tuple(shape), levels, n_classes
        self.law, self.noise, self.dropout = law, noise, nn.Dropout(dropout)
        start, channels = torch.zeros(levels) if start is None else start, shape[0]
        self.head = nn.Conv2d(net.width, len(start), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.background = nn.Parameter(start.repeat(*self.shape, 1))  # (C, H, W, K)
        self.colors = nn.Embedding(channels * levels, net.width) if channels > 1 else None
        if channels > 1:  # place by place, colours innermost
            flat = torch.arange(math.prod(shape)).view(channels, -1)
            self.register_buffer("order", flat.T.flatten())

    def check(self, x: Tensor, name: str = "x") -> Tensor:
        """x as int64; a ValueError unless it is (B >= 1, *shape) integers 0 .. levels-1."""
        good = tuple(x.shape[1:]) == self.shape and len(x) > 0
        if not good or x.is_floating_point() or x.dtype == torch.bool:
            need, got = f"(B >= 1, *{self.shape})", f"{x.dtype} {tuple(x.shape)}"
            raise ValueError(f"{name} must be integers {need}, got {got}")
        low, high = int(x.min()), int(x.max())
        if low < 0 or high >= self.levels:
            raise ValueError(f"{name} must lie in 0 .. {self.levels - 1}, got {low} .. {high}")
        return x.long()

    def _label(self, y: Tensor | None, n: int) -> tuple:
        """Arguments of the network beside the image: the checked labels, or nothing."""
        if y is None:
            return ()
        if not self.n_classes:
            raise ValueError("y was given, but this model was built with n_classes = 0")
        y = torch.as_tensor(y, device=self.background.device)
        if y.shape not in ((), (n,)) or y.dtype not in (torch.int64, torch.int32, torch.uint8):
            raise ValueError(f"y must be a label or ({n},) labels, got {y.dtype} {tuple(y.shape)}")
        if int(y.min()) < 0 or int(y.max()) >= self.n_classes:
            raise ValueError(f"y must lie in 0 .. {self.n_classes - 1}, got {y.tolist()}")
        return (y.long().expand(n),)

    def _parameters_at(self, h: Tensor, x: Tensor, background: Tensor) -> Tensor:
        """Features (B, width, H, W) and the pixels themselves -> parameters (B, C, H, W, K)."""
        h = h.unsqueeze(1)  # (B, 1, width, H, W)
        if self.colors is not None:
            first = self.levels * torch.arange(x.shape[1], device=x.device).view(-1, 1, 1)
            own = self.colors(x + first).movedim(-1, 2)  # (B, C, width, H, W)
            h = h + own.cumsum(1) - own  # colours before this one
        out = self.head(self.dropout(F.silu(h)).flatten(0, 1))
        return out.view(len(x), -1, *out.shape[1:]).movedim(2, -1) + background

    def _seen(self, x: Tensor) -> Tensor:
        """Features of the context, with noise on it in training."""
        if self.training and self.noise:
            moved = (x + torch.randint(-3, 4, x.shape, device=x.device)).clamp(0, self.levels - 1)
            x = torch.where(torch.rand(x.shape, device=x.device) < self.noise, moved, x)
        return level_features(x.to(self.background.dtype), self.levels)

    def given(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Parameters (B, *shape, K) of every p(x_i | earlier pixels, y)."""
        x = self.check(x)
        h = self.net(self._seen(x), *self._label(y, len(x)))
        return self._parameters_at(h, x, self.background)

    def _by_class(self, x: Tensor) -> Tensor:
        """Parameters under every label in turn, (n_classes, B, *shape, K)."""
        return torch.stack([self.given(x, torch.tensor(c)) for c in range(self.n_classes)])

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Parameters (B, *shape, K) of the law of every pixel given the earlier ones.

        With labels but without ``y`` the label is summed out: p(x_i | x_<i) =
        sum_y p(y | x_<i) p(x_i | x_<i, y), given as a table of log masses (K = levels).
        """
        if y is not None or not self.n_classes:
            return self.given(x, y)
        x = self.check(x)
        table = self.law(self._by_class(x), self.levels).table()  # (classes, B, *shape, levels)
        picked = x.expand(self.n_classes, *x.shape).unsqueeze(-1)
        own = table.gather(-1, picked).squeeze(-1).movedim(2, -1).flatten(2)  # pixels in order
        before = (own.cumsum(2) - own).unflatten(2, (*x.shape[2:], -1)).movedim(-1, 2)
        return (before.log_softmax(0).unsqueeze(-1) + table).logsumexp(0)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Exact log p(x | y), or log p(x) = log mean_y p(x | y) without y: (B,) nats."""
        x = self.check(x)
        if y is None and self.n_classes:
            law = self.law(self._by_class(x), self.levels)
            log_p = law.log_prob(x.expand(self.n_classes, *x.shape)).flatten(2).sum(2)
            return log_p.logsumexp(0) - math.log(self.n_classes)
        return self.law(self.given(x, y), self.levels).log_prob(x).flatten(1).sum(1)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-log p(x | y), or -log p(x) without labels: (B,) nats."""
        return -self.log_prob(x, y)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        known: Tensor | None = None,
        mask: Tensor | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        cached: bool = True,
    ) -> Tensor:
        """Draw (n, *shape) as stored, pixel by pixel, in eval mode.

        Parameters
        ----------
        y : a label, or one for each draw; None draws labels uniformly, whatever is known.
        known, mask : (n or 1, *shape) levels kept where the boolean mask, (*shape) or like known,
            is True. An exact draw given them (and y) if every known pixel comes before all others.
        temperature : divides the log masses; 1 draws from the model.
        cached : compute only what the next pixel needs, if the network can; the same draws.
        """
        if n < 1 or not temperature > 0:
            raise ValueError(f"n >= 1 and temperature > 0, got {n} and {temperature}")
        training = self.training
        self.eval()
        x, mask = self._start(n, known, mask)
        if y is None and self.n_classes:
            y = torch.randint(self.n_classes, (n,), generator=generator, device=x.device)
        labels = self._label(y, n)
        whole = lambda h, i, j: self.net(h, *labels)[:, :, i, j]  # noqa: E731
        step = self.net.cache(n, *labels) if cached and hasattr(self.net, "cache") else whole
        seen = self._seen(x)
        for i in range(self.shape[1]):
            for j in range(self.shape[2]):
                h = step(seen, i, j)[..., None, None]
                self._draw(x, mask, h, i, j, temperature, generator)
                seen[:, :, i, j] = self._seen(x[:, :, i : i + 1, j : j + 1])[..., 0, 0]
        self.train(training)
        return x.to(torch.uint8) if self.levels <= 256 else x

    def _draw(self, x, mask, h, i, j, temperature, generator) -> None:
        """Fill in the colours of pixel (i, j), in place; those known stay."""
        pixel, background = x[:, :, i : i + 1, j : j + 1], self.background[:, i : i + 1, j : j + 1]
        for c in range(len(background)):
            law = self.law(self._parameters_at(h, pixel, background)[:, c, 0, 0], self.levels)
            p = (law.table() / temperature).softmax(-1)
            drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
            x[:, c, i, j] = torch.where(mask[:, c, i, j], x[:, c, i, j], drawn)

    def _start(self, n: int, known: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The images before the first draw, and where they stay, (n, *shape) both."""
        device = self.background.device
        if (known is None) != (mask is None):
            raise ValueError("known and mask come together: levels, and where to keep them")
        x = torch.zeros(n, *self.shape, dtype=torch.long, device=device)
        if known is None:
            return x, x > 0
        known = self.check(known, "known").to(device)
        if len(known) not in (1, n):
            raise ValueError(f"known must hold 1 or {n} images, got {len(known)}")
        if mask.dtype != torch.bool or mask.shape not in (self.shape, known.shape):
            raise ValueError(
                f"mask must be boolean {self.shape} or {tuple(known.shape)}, True where known; "
                f"got {mask.dtype} {tuple(mask.shape)}"
            )
        mask = mask.to(device).expand(x.shape)
        return torch.where(mask, known, x), mask
