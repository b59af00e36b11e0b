"""Coupling layers: change one half of the features given the other; the inverse costs the same.

Dinh et al. (2015), NICE, arXiv:1410.8516, eqs. 3-6; Dinh et al. (2017), RealNVP, arXiv:1605.08803,
eqs. 4-8. Needs torch only.
"""

import torch
from torch import Tensor, nn


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two halves of the channels (or features) of x (B, C, ...)."""
    if x.shape[1] % 2:
        raise ValueError(f"a coupling needs an even number of channels, x has {x.shape[1]}")
    return x.chunk(2, dim=1)


class AdditiveCoupling(nn.Module):
    """Shift one half given the other, then swap the halves; volume is kept, log det = 0.

    NICE, eq. 6. ``net`` maps (B, C/2, ...) to (B, C/2, ...).
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| = 0 (B,)."""
        a, b = _halves(x)
        return torch.cat((b + self.net(a), a), dim=1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...)."""
        b, a = _halves(z)
        return torch.cat((a, b - self.net(a)), dim=1)


class AffineCoupling(nn.Module):
    """Scale and shift one half given the other, then swap the halves.

    RealNVP, eqs. 4-8. ``net`` maps (B, C/2, ...) to (B, C, ...): shift and log-scale. The log-scale
    is bounded by ``max_log_scale`` through a tanh, which keeps the inverse well conditioned.

    Examples
    --------
    >>> layer = AffineCoupling(nn.Linear(1, 2))
    >>> x = torch.randn(5, 2)
    >>> z, log_det = layer(x)
    >>> torch.allclose(layer.inverse(z), x, atol=1e-6)
    True
    """

    def __init__(self, net: nn.Module, max_log_scale: float = 2.0):
        super().__init__()
        if max_log_scale <= 0:
            raise ValueError(f"max_log_scale must be positive, got {max_log_scale}")
        self.net, self.max_log_scale = net, max_log_scale

    def _shift_and_log_scale(self, a: Tensor) -> tuple[Tensor, Tensor]:
        shift, s = self.net(a).chunk(2, dim=1)  # each (B, C/2, ...)
        return shift, self.max_log_scale * torch.tanh(s / self.max_log_scale)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| (B,), nats."""
        a, b = _halves(x)
        shift, log_scale = self._shift_and_log_scale(a)
        return torch.cat((b * log_scale.exp() + shift, a), dim=1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...)."""
        b, a = _halves(z)
        shift, log_scale = self._shift_and_log_scale(a)
        return torch.cat((a, (b - shift) * (-log_scale).exp()), dim=1)
