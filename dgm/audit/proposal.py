"""A heavy-tailed density fitted to draws, to hold a model's density against.

A mixture of Gaussians by expectation-maximisation, each joined by a Student t of the same centre
and twice its width: whatever it is, what is tested with it holds; a better fit only sees more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DEGREES = 4.0
HEAVY = 0.2  # share of the Student t
WIDER = 1.5


class HeavyMixture:
    """q(x) = sum_k w_k (0.8 N(m_k, S_k) + 0.2 t(m_k, 1.5**2 S_k)), fitted to x (N, D)."""

    def __init__(self, x: Tensor, n_components: int = 8, steps: int = 20):
        n, dims = x.shape
        k = max(1, min(n_components, n // (10 * dims)))
        pooled = x.T.cov().reshape(dims, dims)
        jitter = 1e-6 * pooled.diagonal().clamp_min(1e-12)
        if n < 4 * dims:  # too few for a full covariance
            pooled = 0.5 * pooled + 0.5 * pooled.diagonal().diag()
        self.means = x[torch.randperm(n)[:k]].clone()
        factor = torch.linalg.cholesky(pooled + jitter.diag())
        self.factors = factor.expand(k, dims, dims).clone()
        self.log_weights = x.new_full((k,), -math.log(k))
        for _ in range(steps if k > 1 else 1):
            self._step(x, pooled, jitter)

    def _step(self, x: Tensor, pooled: Tensor, jitter: Tensor) -> None:
        """One step of EM on the Gaussians; covariances lean on the pooled one."""
        dims = x.shape[1]
        share = (self.log_weights + self._normal(self._square(x), dims)).softmax(1)  # (N, k)
        count = share.sum(0).clamp_min(1e-9)
        self.log_weights = ((count + 1) / (count + 1).sum()).log()
        self.means = share.T @ x / count[:, None]
        for j in range(len(count)):
            centred = x - self.means[j]
            scatter = (share[:, j, None] * centred).T @ centred
            lean = 0.1 * pooled * (dims + 2)
            cov = (scatter + lean) / (count[j] + dims + 2) + jitter.diag()
            self.factors[j] = torch.linalg.cholesky(cov)

    def _square(self, x: Tensor) -> Tensor:
        """Squared Mahalanobis distance to every component, (N, k)."""
        parts = [
            torch.linalg.solve_triangular(f, (x - m).T, upper=False).square().sum(0)
            for m, f in zip(self.means, self.factors, strict=True)
        ]
        return torch.stack(parts, 1)

    def _log_det(self) -> Tensor:
        return self.factors.diagonal(dim1=1, dim2=2).log().sum(1)  # (k,)

    def _normal(self, square: Tensor, dims: int) -> Tensor:
        return -0.5 * (square + dims * math.log(2 * math.pi)) - self._log_det()

    def log_prob(self, x: Tensor) -> Tensor:
        """log q(x) (N,) nats of x (N, D)."""
        dims, square = x.shape[1], self._square(x)
        scaled = square / WIDER**2
        student = (
            math.lgamma((DEGREES + dims) / 2)
            - math.lgamma(DEGREES / 2)
            - dims / 2 * math.log(DEGREES * math.pi)
            - dims * math.log(WIDER)
            - self._log_det()
            - (DEGREES + dims) / 2 * (scaled / DEGREES).log1p()
        )
        normal = self._normal(square, dims) + math.log(1 - HEAVY)
        both = torch.logaddexp(normal, student + math.log(HEAVY))
        return (self.log_weights + both).logsumexp(1)

    def sample(self, n: int) -> Tensor:
        """Draws (n, D)."""
        k = torch.multinomial(self.log_weights.exp(), n, replacement=True)
        dims = self.means.shape[1]
        noise = torch.randn(n, dims, dtype=self.means.dtype)
        chi = torch.distributions.Chi2(noise.new_tensor(DEGREES)).sample((n, 1))
        heavy = torch.rand(n, 1) < HEAVY
        noise = torch.where(heavy, WIDER * noise * (DEGREES / chi).sqrt(), noise)
        return self.means[k] + torch.einsum("nij,nj->ni", self.factors[k], noise)


class ProductLaw:
    """Independent whole numbers, as frequent as in x (N, D): for masses near independence."""

    def __init__(self, x: Tensor, levels: int, dtype: torch.dtype):
        dims = x.shape[1]
        place = levels * torch.arange(dims)
        counts = torch.bincount((x.long() + place).flatten(), minlength=dims * levels)
        counts = counts.view(dims, levels).to(dtype) + 0.5
        self.log_mass = (counts / counts.sum(1, keepdim=True)).log()  # (D, levels)

    def log_prob(self, x: Tensor) -> Tensor:
        """log q(x) (N,) nats of x (N, D)."""
        return self.log_mass.expand(len(x), -1, -1).gather(2, x.long()[..., None]).sum((1, 2))

    def sample(self, n: int) -> Tensor:
        """Draws (n, D)."""
        return torch.multinomial(self.log_mass.exp(), n, replacement=True).T
