"""A linear autoencoder: two matrices trained by gradient to give back what they are given.

Bourlard & Kamp (1988), doi:10.1007/BF00332918; Baldi & Hornik (1989),
doi:10.1016/0893-6080(89)90014-2: every local minimum is global, and its product of matrices is the
projection on the leading principal components. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class LinearAutoencoder(nn.Module):
    """x -> mean + W2 W1 (x - mean), for x (B, *shape) and a code of ``latent_dim`` numbers.

    (A W1, W2 A^-1) reconstruct as (W1, W2) do, for every invertible A: the data choose the span of
    the code, not its axes.

    Parameters
    ----------
    data : Reals (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``finite(z)``, ``count(n)``.
    latent_dim : int
        Width of the code, at most dims.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> LinearAutoencoder(Reals((5,)), latent_dim=2).encode(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(self, data: object, latent_dim: int):
        super().__init__()
        dims = data.dims
        if data.count(latent_dim, "latent_dim", least=1) > dims:
            raise ValueError(f"latent_dim is a width of 1 .. {dims}, got {latent_dim}")
        self.data = data
        self.mean = nn.Parameter(torch.zeros(dims))
        self.encoder = nn.Parameter(torch.randn(latent_dim, dims) / math.sqrt(dims))  # W1
        self.decoder = nn.Parameter(torch.randn(dims, latent_dim) / math.sqrt(dims))  # W2

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Begin at the mean of x (N, *shape)."""
        self.mean.copy_(self.data.check(x).flatten(1).mean(0))

    def encode(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> code (B, latent_dim)."""
        x = self.data.check(x, trusted=self.training)
        return (x.flatten(1) - self.mean) @ self.encoder.T

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, latent_dim) -> x (B, *shape)."""
        return (self.mean + self.data.finite(z) @ self.decoder.T).unflatten(1, self.data.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction (B, *shape)."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared reconstruction error (B,), in squared units of x; no likelihood."""
        return (self(x) - x).square().flatten(1).sum(1)
