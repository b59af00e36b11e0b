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
    no noise, and ``log_prob`` is there to hold it against.

    Parameters
    ----------
    shape, latent_dim : of x and of z.
    variance : of the noise; learned when left out, else kept at this value.

    Examples
    --------
    >>> model, x = LinearVAE((3,), latent_dim=2), torch.randn(4, 3)
    >>> bool((model.elbo(x) <= model.log_prob(x)).all())
    True
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, variance: float | None = None):
        super().__init__()
        dims = math.prod(shape)
        if not 1 <= latent_dim <= dims:
            raise ValueError(f"latent_dim is between 1 and {dims}, got {latent_dim}")
        if variance is not None and not 0 < variance < math.inf:
            raise ValueError(f"variance is positive and finite, got {variance}")
        self.shape = tuple(shape)
        self.mean = nn.Parameter(torch.zeros(dims))
        self.weight = nn.Parameter(torch.randn(dims, latent_dim) / math.sqrt(dims))  # W
        self.encoder = nn.Parameter(torch.randn(latent_dim, dims) / math.sqrt(dims))  # V
        self.log_scale = nn.Parameter(torch.zeros(latent_dim))  # log s, variances of q
        if variance is None:
            self.log_variance = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_variance", torch.tensor(math.log(variance)))

    def posterior(self, x: Tensor) -> Independent:
        """q(z|x), the learned approximation."""
        scale = (0.5 * self.log_scale).exp()
        mean = self._centred(x) @ self.encoder.T
        return Independent(Normal(mean, scale.expand_as(mean)), 1)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """ "reconstruction" E_q[log p(x|z)] and "kl" KL(q(z|x) || N(0, I)), exact, (B,) nats each.

        "kl_dims" (B, d) is the divergence of every latent by itself.
        """
        centred, variance = self._centred(x), self.log_variance.exp()
        z, s = centred @ self.encoder.T, self.log_scale.exp()  # (B, d), (d,)
        spread = (s * self.weight.square().sum(0)).sum()  # what the noise of q adds to the error
        error = (centred - z @ self.weight.T).square().sum(1) + spread
        constant = centred.shape[1] * (math.log(2 * math.pi) + self.log_variance)
        kl = 0.5 * (z.square() + s - 1 - self.log_scale)
        reconstruction = -0.5 * (error / variance + constant)
        return {"reconstruction": reconstruction, "kl": kl.sum(1), "kl_dims": kl}

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
    def sample(self, n: int) -> Tensor:
        """Draw (n, *shape)."""
        z = self.mean.new_empty(n, self.weight.shape[1]).normal_()
        noise = self.mean.new_empty(n, len(self.mean)).normal_() * (0.5 * self.log_variance).exp()
        return (self.mean + z @ self.weight.T + noise).unflatten(1, self.shape)

    def _centred(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.shape or len(x) < 1:
            raise ValueError(f"x has shape {tuple(x.shape)}, the VAE reads (B > 0, *{self.shape})")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold real, finite numbers, got {x.dtype} (NaN refused)")
        return x.flatten(1) - self.mean
