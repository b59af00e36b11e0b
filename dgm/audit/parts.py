"""The parts of a latent-variable model: posterior, likelihood and prior, asked for what they say.

`model.posterior(x)` and `model.likelihood(z)` are objects: the first has `rsample()` (B, d) and
`log_prob(z)` (B,), the second `log_prob(x)` (B,) and `sample()`; `model.prior` has `log_prob(z)`
(B,) and `sample(n)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from dgm.audit.subject import Subject

_WANTED = {"posterior": ("rsample", "log_prob"), "likelihood": ("log_prob", "sample")}


class Draws(NamedTuple):
    """What the parts say at draws of the posterior, (B,) nats each."""

    z: Tensor  # (B, d)
    log_q: Tensor
    log_prior: Tensor
    log_likelihood: Tensor

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x), (B,) nats: what the bounds average."""
        return self.log_likelihood + self.log_prior - self.log_q


def has_parts(s: Subject) -> bool:
    """Whether the model is made of the three parts, and they answer with one number an example."""
    prior = getattr(s.model, "prior", None)
    if s.y is not None or not _has(prior, "log_prob", "sample"):
        return False
    if not all(callable(getattr(s.model, name, None)) for name in _WANTED):
        return False
    x, n = s.x[:2], len(s.x[:2])
    try:
        found = draw(s, x)
    except Exception:  # parts of another kind: the model as a whole is still checked
        return False
    return found.z.dim() == 2 and all(tuple(part.shape) == (n,) for part in found[1:])


def _has(part: object, *methods: str) -> bool:
    return all(callable(getattr(part, m, None)) for m in methods)


@torch.no_grad()
def draw(s: Subject, x: Tensor) -> Draws:
    """One draw of z for every row of x, and its three log densities."""
    posterior = s.model.posterior(x)
    z = posterior.rsample()
    log_q, log_prior = posterior.log_prob(z), s.model.prior.log_prob(z)
    return Draws(z, log_q, log_prior, s.model.likelihood(z).log_prob(x))


@torch.no_grad()
def draws_of_posterior(s: Subject, row: Tensor, n: int, in_a_batch: bool) -> tuple[Tensor, Tensor]:
    """n draws of q(z|x) for one example, and log q: in a batch of its copies, or from one pass."""
    posterior = s.model.posterior(row.expand(n, *row.shape) if in_a_batch else row[None])
    z = posterior.rsample() if in_a_batch else posterior.rsample((n,))
    return z.reshape(n, -1), posterior.log_prob(z).reshape(n)


@torch.no_grad()
def log_likelihood(s: Subject, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z), (B,) nats."""
    return s.model.likelihood(z).log_prob(x)


@torch.no_grad()
def sample_given(s: Subject, z: Tensor) -> Tensor:
    """One draw of x for every row of z, (B, ...)."""
    return s.model.likelihood(z).sample()


class Given(nn.Module):
    """p(x|z) for one z (1, d): a model without latent variables."""

    def __init__(self, model: nn.Module, z: Tensor):
        super().__init__()
        self.model, self.z = model, z

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z), (B,) nats."""
        return self.model.likelihood(self.z.expand(len(x), -1)).log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of x given z."""
        return self.model.likelihood(self.z.expand(n, -1)).sample()
