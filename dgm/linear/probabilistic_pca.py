"""Probabilistic PCA: a Gaussian whose covariance is a few directions plus round noise.

Tipping & Bishop (1999), JRSS-B 61(3), doi:10.1111/1467-9868.00196, eqs. 4-9. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal


class ProbabilisticPCA(nn.Module):
    """x = W z + mean + noise, z ~ N(0, I), noise ~ N(0, variance I); exact density.

    Parameters
    ----------
    data : Reals (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``count(n)``.
    latent_dim : int
        Of z (B, latent_dim); below dims, since the noise is measured in the directions left over.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model = ProbabilisticPCA(Reals((3,)), latent_dim=1)
    >>> model.log_prob(torch.zeros(2, 3)).shape
    torch.Size([2])
    """

    def __init__(self, data: object, latent_dim: int):
        super().__init__()
        dims = data.dims
        if data.count(latent_dim, "latent_dim", least=1) >= dims:
            raise ValueError(f"latent_dim must lie in 1 .. {dims - 1}, got {latent_dim}")
        self.data, self.latent_dim = data, latent_dim
        self.mean = nn.Parameter(torch.zeros(dims))
        self.weight = nn.Parameter(torch.randn(dims, latent_dim) / math.sqrt(dims))  # W
        self.log_variance = nn.Parameter(torch.zeros(()))

    @torch.no_grad()
    def fit_to(self, x: Tensor) -> "ProbabilisticPCA":
        """Maximum likelihood on x (N, *shape), in closed form and in place; self.

        The variance is the mean of the discarded eigenvalues of the covariance, and
        W = U (L - variance I)^(1/2) with the leading eigenvectors U and eigenvalues L (eqs. 7-8,
        with R = I).

        Raises
        ------
        ValueError
            x has no variance left over (so has it where N - 1 <= latent_dim): the likelihood
            would be unbounded.
        """
        rows = self.data.check(x).flatten(1)
        _, singular, directions = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        eigenvalues = rows.new_zeros(rows.shape[1])
        eigenvalues[: len(singular)] = singular.square() / len(rows)
        variance = eigenvalues[self.latent_dim :].mean()
        if variance <= 1e-12 * eigenvalues[0]:
            raise ValueError(f"x lies in {self.latent_dim} dimensions: no variance left over")
        stretch = (eigenvalues[: self.latent_dim] - variance).clamp_min(0).sqrt()
        self.mean.copy_(rows.mean(0))
        self.weight.copy_(directions[: self.latent_dim].T * stretch)
        self.log_variance.copy_(variance.log())
        return self

    def likelihood(self, z: Tensor) -> Independent:
        """p(x | z) for z (B, latent_dim), a law of (B, *shape)."""
        mean = (self.mean + z @ self.weight.T).view(-1, *self.data.shape)
        return Independent(Normal(mean, (0.5 * self.log_variance).exp()), len(self.data.shape))

    def _posterior_mean(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x - mean (B, D), E[z|x] (B, d), and the Cholesky factor of M = W^T W + variance I."""
        centred = self.data.check(x, trusted=self.training).flatten(1) - self.mean
        gram = self.weight.T @ self.weight  # (d, d)
        factor = torch.linalg.cholesky(gram + self.log_variance.exp() * torch.eye(len(gram)).to(x))
        return centred, torch.cholesky_solve((centred @ self.weight).T, factor).T, factor

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density (B,) nats, at the price of d x d matrices.

        With m = E[z|x], the squared Mahalanobis distance is |x - mean - W m|^2 / variance + |m|^2:
        a sum of squares, where the usual difference would cancel.
        """
        centred, z, factor = self._posterior_mean(x)
        dims, latent = self.weight.shape
        residual = centred - z @ self.weight.T
        squared = residual.square().sum(1) / self.log_variance.exp() + z.square().sum(1)
        log_det = (dims - latent) * self.log_variance + 2 * factor.diagonal().log().sum()
        return -0.5 * (squared + log_det + dims * math.log(2 * math.pi))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density (B,) nats."""
        return -self.log_prob(x)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z | x), exact: one covariance for all x (eq. 6)."""
        _, z, factor = self._posterior_mean(x)
        covariance = self.log_variance.exp() * torch.cholesky_inverse(factor)
        return MultivariateNormal(z, covariance)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of p(x | z) at z = E[z|x], (B, *shape): a projection shrunk towards the mean."""
        return self.likelihood(self._posterior_mean(x)[1]).mean

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape): a code, its place, and noise.

        The generator lives on the model's device.
        """
        n = self.data.count(n)
        z = self.mean.new_empty(n, self.latent_dim).normal_(generator=generator)
        noise = self.mean.new_empty(n, self.data.dims).normal_(generator=generator)
        x = self.mean + z @ self.weight.T + noise * (0.5 * self.log_variance).exp()
        return x.view(n, *self.data.shape)
