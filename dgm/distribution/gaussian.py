"""A Gaussian with a full covariance, fitted in closed form or by gradient.

Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class FullGaussian(nn.Module):
    """N(x; mean, L L^T) for real vectors, with a learnable mean and Cholesky factor L.

    Parameters
    ----------
    dim : number of features D. Starts as the standard normal.

    Example
    -------
    >>> FullGaussian(2).log_prob(torch.zeros(1, 2)).exp()  # 1 / (2 pi)
    tensor([0.1592], grad_fn=<ExpBackward0>)
    """

    def __init__(self, dim: int):
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.mean = nn.Parameter(torch.zeros(dim))
        self.log_diagonal = nn.Parameter(torch.zeros(dim))
        self.lower = nn.Parameter(torch.zeros(dim, dim))  # only its strict lower triangle is used

    @classmethod
    @torch.no_grad()
    def fit(cls, x: Tensor, ridge: float = 0.0) -> "FullGaussian":
        """The maximum-likelihood Gaussian of x (N, D): its mean and its covariance + ridge * I."""
        if x.dim() != 2 or len(x) < 2:
            raise ValueError(f"x must be (N, D) with N >= 2, got shape {tuple(x.shape)}")
        self = cls(x.shape[1]).to(x)
        centred = x - x.mean(0)
        covariance = centred.T @ centred / len(x) + ridge * torch.eye(x.shape[1]).to(x)
        factor, info = torch.linalg.cholesky_ex(covariance)
        if info:
            raise ValueError(f"x has a flat direction: give ridge > 0 (got {ridge})")
        self.mean.copy_(x.mean(0))
        self.log_diagonal.copy_(factor.diagonal().log())
        self.lower.copy_(factor.tril(-1))
        return self

    def cholesky(self) -> Tensor:
        """L (D, D), lower triangular with a positive diagonal; the covariance is L L^T."""
        return self.lower.tril(-1) + self.log_diagonal.exp().diag()

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact, for x (B, D)."""
        if x.dim() != 2 or x.shape[1] != len(self.mean) or not x.is_floating_point() or not len(x):
            raise ValueError(
                f"x must be real, (B > 0, {len(self.mean)}), got {x.dtype} {tuple(x.shape)}"
            )
        if not torch.isfinite(x).all():
            raise ValueError("x must be finite, got NaN or infinity")
        z = torch.linalg.solve_triangular(self.cholesky(), (x - self.mean).T, upper=False)  # (D, B)
        log_volume = 0.5 * len(z) * math.log(2 * math.pi) + self.log_diagonal.sum()
        return -0.5 * z.square().sum(0) - log_volume

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, D): mean + L eps."""
        return self.mean + self.mean.new_empty(n, len(self.mean)).normal_() @ self.cholesky().T
