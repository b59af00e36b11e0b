"""A normalising flow: invertible layers that carry data to a base density, and their log-dets.

Rezende and Mohamed (2015), arXiv:1505.05770; Papamakarios et al. (2021), arXiv:1912.02762, eq. 2-6.
Needs torch only.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Flow(nn.Module):
    """log p(x) = log p_base(z) + log|det dz/dx| with z = f(x), exact.

    Parameters
    ----------
    layers : iterable of modules with ``forward(x) -> (z, log_det)`` and ``inverse(z) -> x``; the
        first one touches the data.
    base : module with ``log_prob(z) -> (B,)`` and ``sample(n)``.
    shape : shape of one example, checked on every call where it is given.

    Examples
    --------
    >>> from torch.distributions import Independent, Normal
    >>> base = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    >>> flow = Flow([], base)
    >>> flow.log_prob(torch.zeros(1, 2))  # -log(2 pi)
    tensor([-1.8379])
    """

    def __init__(self, layers: Iterable[nn.Module], base, shape: tuple[int, ...] | None = None):
        super().__init__()
        self.layers, self.base = nn.ModuleList(layers), base
        self.shape = None if shape is None else tuple(shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z and log|det dz/dx| (B,), nats."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """z -> x, the layers undone in reverse order."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density (B,), nats. Raises ValueError for input that is not finite floats."""
        self._check(x)
        z, log_det = self(x)
        return self.base.log_prob(z) + log_det

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density (B,), nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """n draws; a ``temperature`` below 1 shrinks it, and no longer draws from p."""
        z = self.base.sample(n) if isinstance(self.base, nn.Module) else self.base.sample((n,))
        return self.inverse(temperature * z)

    def _check(self, x: Tensor) -> None:
        if not x.is_floating_point():
            raise ValueError(f"x must be floats, got {x.dtype}; wrap integers in Dequantize")
        if self.shape is not None and tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x must have shape (B, {self.shape}), got {tuple(x.shape)}")
        if len(x) == 0:
            raise ValueError("x is an empty batch")
        if not torch.isfinite(x).all():
            raise ValueError("x holds NaN or infinite values")
