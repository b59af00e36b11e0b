"""A Gaussian with a full covariance, fitted in closed form or by gradient.

Bishop (2006), Pattern Recognition and Machine Learning, section 2.3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class FullGaussian(nn.Module):
    """N(x; mean, L L^T) for real vectors, with a learnable mean and Cholesky factor L.

    Parameters
    ----------
    data : Reals (support.py)
        Points (D,): ``shape``, ``check(x)``, ``count(n)``.

    Notes
    -----
    Starts as the standard normal. Own methods: ``cholesky``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> FullGaussian(Reals((2,))).log_prob(torch.zeros(1, 2)).exp()  # 1 / (2 pi)
    tensor([0.1592], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data: object):
        super().__init__()
        if len(data.shape) != 1:
            raise ValueError(f"data must be points (D,), got shape {data.shape}")
        self.data = data
        self.mean = nn.Parameter(torch.zeros(data.shape))
        self.log_diagonal = nn.Parameter(torch.zeros(data.shape))
        self.lower = nn.Parameter(torch.zeros(2 * data.shape))  # only its strict lower triangle

    @torch.no_grad()
    def fit_to(self, x: Tensor, ridge: float = 0.0) -> "FullGaussian":
        """Maximum likelihood on x (N, D), in place: its mean, its covariance + ridge * I; self.

        Raises
        ------
        ValueError
            x has fewer than 2 rows, or a flat direction and no ridge.
        """
        x = self.data.check(x)
        if len(x) < 2 or not 0 <= ridge < math.inf:
            raise ValueError(f"x needs 2 rows and ridge >= 0, got {len(x)} rows, ridge {ridge}")
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
        x = self.data.check(x, trusted=self.training)
        z = torch.linalg.solve_triangular(self.cholesky(), (x - self.mean).T, upper=False)  # (D, B)
        log_volume = 0.5 * len(z) * math.log(2 * math.pi) + self.log_diagonal.sum()
        return -0.5 * z.square().sum(0) - log_volume

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, D): mean + L eps. The generator lives on the model's device."""
        eps = self.mean.new_empty(self.data.count(n), len(self.mean)).normal_(generator=generator)
        return self.mean + eps @ self.cholesky().T
