"""A VAE whose code has a price: the bound stays what it is, the loss pays for more than its KL.

The family of Locatello et al. (2019), arXiv:1811.12359, section 3: log p(x|z) less a price of
q(z|x) and of what the codes of many x look like together. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class PricedVAE(nn.Module):
    """loss = weight price(q(z|x), z) - log p(x|z); ``elbo`` and all probability is the VAE's.

    Parameters
    ----------
    vae : nn.Module
        ``data``, ``posterior(x)``, ``likelihood(z)``, ``prior``, ``terms``, ``elbo``,
        ``iw_bound``, ``sample``: a `VAE` whose prior is N(0, I).
    price : nn.Module
        ``price(q, z)`` (B,) of the posteriors of a batch, with ``mean`` and ``log_var`` (B, d) and
        ``kl()`` (B,), and of one draw z (B, d) of each.
    weight : float
        Nats of log p(x|z) that a nat of the price is worth, in ``loss`` and nowhere else. Papers
        set prices for pictures of 64 by 64; of 32 by 32 the same picture says a quarter.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Levels
    >>> model = zoo.get("beta_vae").build(Levels((1, 4, 4), 2), beta=4.0, width=8)
    >>> x = model.sample(6)
    >>> model.elbo(x).shape, model.loss(x).shape
    (torch.Size([6]), torch.Size([6]))
    """

    def __init__(self, vae: nn.Module, price: nn.Module, weight: float = 1.0):
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be finite and at least 0, got {weight!r}")
        self.vae, self.price, self.weight = vae, price, weight
        self.data, self.prior = vae.data, vae.prior

    def posterior(self, x: Tensor) -> object:
        """q(z|x), for x (B, *shape)."""
        return self.vae.posterior(x)

    def likelihood(self, z: Tensor) -> object:
        """p(x|z), for z (B, d)."""
        return self.vae.likelihood(z)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """One draw of ``reconstruction`` and ``kl``, (B,) nats each; elbo is their difference."""
        return self.vae.terms(x)

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats: no price enters."""
        return self.vae.elbo(x)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound on log p(x) with k draws (B,), nats."""
        return self.vae.iw_bound(x, k)

    def loss(self, x: Tensor) -> Tensor:
        """weight * price - log p(x|z), (B,): minus a bound where that is the KL and no more.

        A price may look at the batch as a whole, so the loss of an example then depends on it.
        """
        x = self.data.check(x, trusted=self.training)
        q = self.vae.posterior(x)
        z = q.rsample()
        return self.weight * self.price(q, z) - self.vae.likelihood(z).log_prob(x)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at one draw of the posterior, shaped like x."""
        return self.vae(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of p(x), (n, *shape) as stored."""
        return self.vae.sample(n, generator=generator)

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        self.vae.start_from(x)


class WeightedKL(nn.Module):
    """beta KL(q(z|x) || p(z)): the price of beta-VAE.

    Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl, eq. 4.

    Parameters
    ----------
    beta : float
        Nats that a nat of KL costs; 1 is the VAE.
    """

    def __init__(self, beta: float = 4.0):
        super().__init__()
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be finite and at least 0, got {beta!r}")
        self.beta = beta

    def forward(self, q: object, z: Tensor) -> Tensor:
        """(B,), from the closed form of the KL."""
        return self.beta * q.kl()
