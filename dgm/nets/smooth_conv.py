"""A small convolutional classifier of smooth layers without normalisation: fit to be an energy.

No batch statistics (an example must not see its batch) and SiLU throughout, so that slopes towards
the picture are smooth; Elfwing et al. (2018), arXiv:1702.03118. Needs torch only.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu


class SmoothConvNet(nn.Module):
    """(B, C, H, W) -> (B, out_features): convolutions, then a hidden layer, then a linear map.

    Parameters
    ----------
    shape : (C, H, W).
    out_features : numbers per picture, the logits.
    widths : channels after each convolution.
    strides : 1 or 2 for each; the sides must be divisible by their product.
    hidden : units before the last map.

    Examples
    --------
    >>> import torch
    >>> net = SmoothConvNet((1, 8, 8), 10, widths=(6, 4), strides=(1, 2), hidden=12)
    >>> [tuple(h.shape) for h in net.layers(torch.zeros(3, 1, 8, 8))]
    [(3, 6, 8, 8), (3, 4, 4, 4), (3, 12), (3, 10)]
    """

    def __init__(
        self, shape: tuple[int, ...], out_features: int, widths: tuple[int, ...] = (32, 64),
        strides: tuple[int, ...] = (1, 2), hidden: int = 128,
    ):  # fmt: skip
        super().__init__()
        if len(widths) != len(strides) or not set(strides) <= {1, 2}:
            raise ValueError(f"strides must be 1 or 2 for each of {len(widths)} widths: {strides}")
        part = 2 ** strides.count(2)
        if len(shape) != 3 or any(side % part for side in shape[1:]):
            need = f"images (C, H, W) with sides divisible by {part}"
            raise ValueError(f"data must be {need}, got shape {shape}")
        sizes = (shape[0], *widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 3 if s == 1 else 4, s, 1)
            for i, s in enumerate(strides)
        )
        coarse = widths[-1] * (shape[1] // part) * (shape[2] // part)
        self.hidden, self.last = nn.Linear(coarse, hidden), nn.Linear(hidden, out_features)

    def layers(self, u: Tensor) -> list[Tensor]:
        """What every layer gives, after its SiLU: maps, the hidden layer, and last the outputs."""
        found, h = [], u
        for convolution in self.convolutions:
            h = silu(convolution(h))
            found.append(h)
        found.append(silu(self.hidden(h.flatten(1))))
        return [*found, self.last(found[-1])]

    def forward(self, u: Tensor) -> Tensor:
        """u (B, C, H, W) -> (B, out_features)."""
        return self.layers(u)[-1]
