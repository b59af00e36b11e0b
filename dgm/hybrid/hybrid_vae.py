"""A VAE whose code also tells the class: p(x, y) = integral of p(x|z) p(y|z) p(z) dz, bounded.

The objective of Tomczak (2021), "Likelihood and representation learning", with alpha in front of
log p(y|z); the same code for both: Kingma et al. (2014), arXiv:1406.5298, eq. 9, has the alpha of a
classifier beside a bound. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy


class HybridVAE(nn.Module):
    """log p(x, y) >= E_q(z|x)[log p(x|z) + log p(y|z) + log p(z) - log q(z|x)].

    Parameters
    ----------
    vae : nn.Module
        ``data``, ``posterior(x)``, ``likelihood(z)``, ``prior``, ``elbo``, ``iw_bound``,
        ``sample``: a `VAE`.
    head : nn.Module
        Codes z (B, d) to logits (B, K).
    labels : Levels
        What y is, ``Levels((), K)``.
    weight : float
        alpha, the weight of log p(y|z) in ``loss`` and nowhere else.

    Notes
    -----
    Own methods: ``joint_elbo``, ``class_posterior``.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Levels
    >>> model = zoo.get("hybrid_vae").build(Levels((1, 4, 4), 3), n_classes=5, width=8)
    >>> x = model.sample(6)
    >>> model.joint_elbo(x, torch.zeros(6).long()).shape, model.class_posterior(x).probs.shape
    (torch.Size([6]), torch.Size([6, 5]))
    """

    def __init__(self, vae: nn.Module, head: nn.Module, labels: object, weight: float = 1.0):
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be finite and at least 0, got {weight!r}")
        self.vae, self.head, self.labels = vae, head, labels
        self.data, self.weight = vae.data, weight

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        self.vae.start_from(x)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """One draw of ``reconstruction``, ``kl`` and, with labels, ``log_y``: (B,) nats each."""
        x = self.data.check(x, trusted=self.training)
        q = self.vae.posterior(x)
        z = q.rsample()
        found = {
            "reconstruction": self.vae.likelihood(z).log_prob(x),
            "kl": q.log_prob(z) - self.vae.prior.log_prob(z),
        }
        if y is not None:
            y = self.labels.check(y, "y", trusted=self.training)
            if len(y) != len(x):
                raise ValueError(f"y must hold a label for each of {len(x)} x, got {len(y)}")
            found["log_y"] = -cross_entropy(self.head(z), y, reduction="none")
        return found

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats: the head plays no part."""
        return self.vae.elbo(x)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound on log p(x) with k draws (B,), nats."""
        return self.vae.iw_bound(x, k)

    def joint_elbo(self, x: Tensor, y: Tensor) -> Tensor:
        """One-sample lower bound on log p(x, y) (B,), nats."""
        terms = self.terms(x, y)
        return terms["reconstruction"] - terms["kl"] + terms["log_y"]

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """kl - reconstruction - weight * log p(y|z), (B,): a bound for weight = 1 only."""
        terms = self.terms(x, y)
        bound = terms["kl"] - terms["reconstruction"]
        return bound if y is None else bound - self.weight * terms["log_y"]

    def class_posterior(self, x: Tensor) -> Categorical:
        """The head at the mean of q(z|x): a stand-in for p(y | x), an integral over z."""
        return Categorical(logits=self.head(self.vae.posterior(x).mean), validate_args=False)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of p(x), (n, *shape) as stored."""
        return self.vae.sample(n, generator=generator)
