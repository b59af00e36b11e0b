"""A coupling with any elementwise map: half of the features choose what happens to the others.

Durkan, Bekasov, Murray and Papamakarios (2019), Neural spline flows, arXiv:1906.04032, section 3.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class TransformCoupling(nn.Module):
    """One half passes through a map whose numbers are read off the other half, then both swap.

    Parameters
    ----------
    net : nn.Module
        (B, C/2, ...) -> (B, (C/2) * transform.size, ...).
    transform : nn.Module
        Elementwise and increasing: ``transform(x, numbers) -> (y, log_slope)``,
        ``inverse(y, numbers)``, and ``size`` numbers for each entry (spline.py).

    Examples
    --------
    >>> from dgm.flow.spline import RationalQuadratic
    >>> spline = RationalQuadratic(bins=4)
    >>> layer = TransformCoupling(nn.Linear(1, spline.size), spline)
    >>> z, log_det = layer(torch.randn(5, 2))
    """

    def __init__(self, net: nn.Module, transform: nn.Module):
        super().__init__()
        self.net, self.transform = net, transform

    def _numbers(self, a: Tensor, channels: int) -> Tensor:
        """What the seen half a says about each entry of the other: (B, C/2, ..., size)."""
        return self.net(a).unflatten(1, (channels, self.transform.size)).movedim(2, -1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| (B,), nats."""
        if x.shape[1] % 2:
            raise ValueError(f"a coupling needs an even number of channels, x has {x.shape[1]}")
        a, b = x.chunk(2, dim=1)
        y, log_slope = self.transform(b, self._numbers(a, b.shape[1]))
        return torch.cat((y, a), dim=1), log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...)."""
        y, a = z.chunk(2, dim=1)
        return torch.cat((a, self.transform.inverse(y, self._numbers(a, y.shape[1]))), dim=1)
