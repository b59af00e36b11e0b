"""A linear variational autoencoder: probabilistic PCA with a posterior that has to be learned.

Lucas, Tucker, Grosse & Norouzi (2019), Don't Blame the ELBO! A Linear VAE Perspective on Posterior
Collapse, arXiv:1911.02469, sections 3 and 4. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal


class LinearVAE(nn.Module):
    """p(x|z) = N(W z + mean, variance I), q(z|x) = N(V (x - mean), diag(s)), for x (B, *shape).

    Everything is Gaussian, so both the bound and what it bounds are closed forms: ``elbo`` carries
    no noise, and ``log_prob`` is there to hold it against. Own methods: ``kl_dims``.

    Parameters
    ----------
    data : Reals (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``count(n)``.
    latent_dim : int
        Of z (B, latent_dim), at most dims.
    variance : float, optional
        Of the noise; learned when left out, else kept at this value.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model, x = LinearVAE(Reals((3,)), latent_dim=2), torch.randn(4, 3)
    >>> bool((model.elbo(x) <= model.log_prob(x)).all())
    True
    """

    def __init__(self, data: object, latent_dim: int, variance: float | None = None):
        super().__init__()
        dims = data.dims
        if data.count(latent_dim, "latent_dim", least=1) > dims:
            raise ValueError(f"latent_dim is between 1 and {dims}, got {latent_dim}")
        if variance is not None and not 0 < variance < math.inf:
            raise ValueError(f"variance is positive and finite, got {variance}")
        self.data = data
        self.mean = nn.Parameter(torch.zeros(dims))
        self.weight = nn.Parameter(torch.randn(dims, latent_dim) / math.sqrt(dims))  # W
        self.encoder = nn.Parameter(torch.randn(latent_dim, dims) / math.sqrt(dims))  # V
        self.log_scale = nn.Parameter(torch.zeros(latent_dim))  # log s, variances of q
        if variance is None:
            self.log_variance = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_variance", torch.tensor(math.log(variance)))

    def likelihood(self, z: Tensor) -> Independent:
        """p(x | z) for z (B, latent_dim), a law of (B, *shape)."""
        mean = (self.mean + z @ self.weight.T).unflatten(1, self.data.shape)
        return Independent(Normal(mean, (0.5 * self.log_variance).exp()), len(self.data.shape))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Begin at the mean of x (N, *shape)."""
        self.mean.copy_(self.data.check(x).flatten(1).mean(0))

    def posterior(self, x: Tensor) -> Independent:
        """q(z|x), the learned approximation."""
        scale = (0.5 * self.log_scale).exp()
        mean = self._centred(x) @ self.encoder.T
        return Independent(Normal(mean, scale.expand_as(mean)), 1)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """The two parts of the bound, exact, (B,) nats each.

        ``reconstruction`` is E_q[log p(x|z)], ``kl`` is KL(q(z|x) || N(0, I)).
        """
        centred, variance = self._centred(x), self.log_variance.exp()
        z, s = centred @ self.encoder.T, self.log_scale.exp()  # (B, d), (d,)
        spread = (s * self.weight.square().sum(0)).sum()  # what the noise of q adds to the error
        error = (centred - z @ self.weight.T).square().sum(1) + spread
        constant = centred.shape[1] * (math.log(2 * math.pi) + self.log_variance)
        kl = 0.5 * (z.square() + s - 1 - self.log_scale).sum(1)
        return {"reconstruction": -0.5 * (error / variance + constant), "kl": kl}

    def kl_dims(self, x: Tensor) -> Tensor:
        """KL(q(z_j | x) || N(0, 1)) of every latent by itself, (B, latent_dim) nats, exact."""
        q = self.posterior(x).base_dist
        return 0.5 * (q.mean.square() + q.variance - 1 - self.log_scale)

    def elbo(self, x: Tensor) -> Tensor:
        """Lower bound on log p(x) (B,) nats, its expectation taken in closed form."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density (B,) nats: N(x; mean, W W^T + variance I), as a D x D Gaussian."""
        centred = self._centred(x)
        noise = self.log_variance.exp() * torch.eye(centred.shape[1]).to(centred)
        covariance = self.weight @ self.weight.T + noise
        return MultivariateNormal(torch.zeros_like(self.mean), covariance).log_prob(centred)

    def loss(self, x: Tensor) -> Tensor:
        """Negative bound (B,) nats."""
        return -self.elbo(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape). The generator lives on the model's device."""
        z = self.mean.new_empty(self.data.count(n), self.weight.shape[1])
        mean = self.likelihood(z.normal_(generator=generator)).mean
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + noise * (0.5 * self.log_variance).exp()

    def _centred(self, x: Tensor) -> Tensor:
        return self.data.check(x, trusted=self.training).flatten(1) - self.mean
