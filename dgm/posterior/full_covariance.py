"""A posterior with a full covariance: a triangular layer on top of a diagonal Gaussian.

Kingma and Welling (2019), Introduction to variational autoencoders, arXiv:1906.02691, section
2.5.1. Needs torch only.
"""

import torch
from torch import Tensor, nn


class FullCovariance(nn.Module):
    """z -> z + T(x) z, T strictly lower triangular; log det = 0.

    On top of N(m, diag s^2) it makes every Gaussian: its mean is (I + T) m, its
    Cholesky factor (I + T) diag s.

    Parameters
    ----------
    net : nn.Module
        Maps the context (B, C) to (B, dim (dim - 1) / 2), the entries of T below its diagonal.
    dim : int
        Size of z.

    Raises
    ------
    ValueError
        dim below 1.

    Examples
    --------
    >>> z, log_det = FullCovariance(nn.Linear(3, 1), 2)(torch.ones(5, 2), torch.randn(5, 3))
    >>> log_det
    tensor([0., 0., 0., 0., 0.])
    """

    def __init__(self, net: nn.Module, dim: int):
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.net, self.dim = net, dim

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, dim), context (B, C) -> z + T z (B, dim) and log det = 0 (B,)."""
        below = torch.ones(self.dim, self.dim, dtype=torch.bool, device=z.device).tril(-1)
        triangle = z.new_zeros(len(z), self.dim, self.dim)
        triangle[:, below] = self.net(context)
        return z + (triangle @ z[:, :, None])[:, :, 0], z.new_zeros(len(z))
