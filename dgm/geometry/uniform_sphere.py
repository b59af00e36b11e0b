"""The uniform law on spheres: the prior that a hyperspherical VAE is held against.

Davidson, Falorsi, De Cao, Kipf and Tomczak (2018), arXiv:1804.00891, section 3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class UniformSphere(nn.Module):
    """K independent uniform points of the unit sphere of R^m; moves with ``.to(device)``.

    Parameters
    ----------
    m : int
        Numbers of a point, at least 2.
    n_spheres : int
        K.

    Examples
    --------
    >>> UniformSphere(3).log_prob(torch.tensor([[[0.0, 0.0, 1.0]]]))  # -log(4 pi)
    tensor([-2.5310])
    """

    def __init__(self, m: int, n_spheres: int = 1):
        super().__init__()
        if m < 2 or n_spheres < 1:
            raise ValueError(f"m must be at least 2 and n_spheres 1, got {m} and {n_spheres}")
        self.m, self.n_spheres = m, n_spheres
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # device and dtype

    def log_prob(self, z: Tensor) -> Tensor:
        """Unit vectors z (B, K, m) -> minus the log of the area (B,), nats."""
        if z.ndim != 3 or z.shape[1:] != (self.n_spheres, self.m):
            need = f"(B, {self.n_spheres}, {self.m})"
            raise ValueError(f"z must have shape {need}, got {tuple(z.shape)}")
        half = self.m / 2
        log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return z.new_full((len(z),), -self.n_spheres * log_area)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, K, m); a ``generator`` lies on the module's device."""
        if not hasattr(n, "__index__") or n < 0:
            raise ValueError(f"n must be a whole number of at least 0, got {n!r}")
        like = dict(dtype=self.anchor.dtype, device=self.anchor.device)
        z = torch.randn(n, self.n_spheres, self.m, generator=generator, **like)
        return nn.functional.normalize(z, dim=-1)
