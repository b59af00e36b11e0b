"""The variational autoencoder: prior, likelihood, approximate posterior, and the bounds they give.

Kingma and Welling (2014), arXiv:1312.6114, eqs. 2-7; Rezende et al. (2014), arXiv:1401.4082.
Importance-weighted bound: Burda et al. (2016), arXiv:1509.00519, eq. 8.
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class VAE(nn.Module):
    """p(x) = integral of p(x|z) p(z) dz, bounded from below with the help of q(z|x).

    Parameters
    ----------
    posterior : module x -> (z (B, d), log q(z|x) (B,)): one reparameterised draw, its log density.
        May offer ``draws(x, k)``, the same for k draws of each x, where that is cheaper.
    likelihood : module with ``check(x)``, ``log_prob(x, z) -> (B,)``, ``sample(z)``, ``mean(z)``.
    prior : module with ``log_prob(z) -> (B,)`` and ``sample(n)``: a normal, a mixture, a flow ...
    beta : weight of the KL term in ``loss``, and only there.
    free_nats : KL per example that ``loss`` does not charge for (Kingma et al. 2016, appendix C).

    Examples
    --------
    A model that ignores z, so that log p(x) is known: 2 pixels of 3 equal levels.

    >>> class Point(nn.Module):
    ...     def forward(self, x):
    ...         return torch.zeros(len(x), 1), torch.zeros(len(x))
    ...     def check(self, x): ...
    ...     def log_prob(self, x, z=None):
    ...         return torch.full((len(x),), -2 * math.log(3)) if z is not None else x[:, 0] * 0
    >>> VAE(Point(), Point(), Point()).elbo(torch.zeros(1, 2))  # -2 log 3
    tensor([-2.1972])
    """

    def __init__(
        self,
        posterior: nn.Module,
        likelihood: nn.Module,
        prior: nn.Module,
        beta: float = 1.0,
        free_nats: float = 0.0,
    ):
        super().__init__()
        for name, value in (("beta", beta), ("free_nats", free_nats)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value}")
        self.posterior, self.likelihood, self.prior = posterior, likelihood, prior
        self.beta, self.free_nats = beta, free_nats
        for name in ("shape", "levels"):
            if getattr(likelihood, name, None) is not None:
                setattr(self, name, getattr(likelihood, name))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """One draw of both parts of the bound, (B,) nats each; elbo = reconstruction - kl.

        ``reconstruction`` is log p(x|z) and ``kl`` is log q(z|x) - log p(z), whose mean over draws
        is the KL divergence of q(z|x) from the prior. Raises ValueError for x not as stored.
        """
        self.likelihood.check(x)
        z, log_q = self.posterior(x)
        return {
            "reconstruction": self.likelihood.log_prob(x, z),
            "kl": log_q - self.prior.log_prob(z),
        }

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats: log p(x, z) - log q(z|x)."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound with k draws, log of the mean weight p(x, z) / q(z|x), (B,) nats; rises with k."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.likelihood.check(x)
        many = x.repeat_interleave(k, 0)  # (B k, ...), every x k times in a row
        draws = getattr(self.posterior, "draws", None)
        z, log_q = self.posterior(many) if draws is None else draws(x, k)
        log_w = self.likelihood.log_prob(many, z) + self.prior.log_prob(z) - log_q
        return torch.logsumexp(log_w.view(len(x), k), 1) - math.log(k)

    def loss(self, x: Tensor) -> Tensor:
        """-reconstruction + beta * kl, (B,): nats, and a bound, only for beta = 1, no free nats."""
        terms = self.terms(x)
        kl = terms["kl"].clamp_min(self.free_nats) if self.free_nats else terms["kl"]
        return self.beta * kl - terms["reconstruction"]

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at one draw of the posterior, shaped like x."""
        self.likelihood.check(x)
        return self.likelihood.mean(self.posterior(x)[0])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of x as stored: z from the prior, then x given z."""
        return self.likelihood.sample(self.prior.sample(n))
