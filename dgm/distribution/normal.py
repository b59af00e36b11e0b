"""The standard normal of any shape: a base for flows, a prior for latent-variable models.

Textbook density; the constant 2 pi is kept. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class StandardNormal(nn.Module):
    """Independent N(0, 1) in every dimension of ``shape``; moves with ``.to(device)``.

    >>> StandardNormal((2,)).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)
        anchor = torch.zeros(())  # carries device and dtype
        self.register_buffer("anchor", anchor, persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, *shape) -> exact log density (B,), nats."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws, (n, *shape); a ``generator`` lies on the module's device."""
        if not hasattr(n, "__index__") or n < 0:
            raise ValueError(f"n must be a whole number of at least 0, got {n!r}")
        like = dict(dtype=self.anchor.dtype, device=self.anchor.device)
        return torch.randn(n, *self.shape, generator=generator, **like)
