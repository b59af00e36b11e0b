"""Hybrid flows: p(x) by an invertible map, and p(y | x) read off the code that it makes of x.

Nalisnick, Matsukawa, Teh, Gorur and Lakshminarayanan (2019), Hybrid models with deep and invertible
features, arXiv:1902.02767, eqs. 5-7; the weight of the second term is the lambda of Perugachi-Diaz,
Tomczak and Bhulai (2021), arXiv:2102.02694, section 4.3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy


def _checked_weight(weight: float) -> float:
    """The weight of log p(x), or a ValueError."""
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight must be finite and at least 0, got {weight!r}")
    return weight


def _log_label(labels: object, logits: Tensor, y: Tensor, trusted: bool) -> Tensor:
    """log p(y | x) (B,), nats, of checked labels y (B,)."""
    y = labels.check(y, "y", trusted=trusted)
    if len(y) != len(logits):
        raise ValueError(f"y must hold a label for each of {len(logits)} x, got {len(y)}")
    return -cross_entropy(logits, y, reduction="none")


def _weighted_loss(terms: dict[str, Tensor], weight: float) -> Tensor:
    """-log p(y | x) - weight * log p(x), of the terms that there are."""
    if "log_y" not in terms:
        return -weight * terms["log_x"]
    return -terms["log_y"] - (weight * terms["log_x"] if weight else 0.0)


class HybridFlow(nn.Module):
    """log p(x, y) = log p(y | z) + log p(x), z = f(x), with one invertible f in both terms; exact.

    Parameters
    ----------
    flow : nn.Module
        ``forward(x) -> (z, log_det (B,))``, ``base``, ``data`` and ``sample``: a `Flow`.
    head : nn.Module
        Codes z (B, ...) to logits (B, K); a linear map makes it a generalised linear model of z.
    labels : Levels
        What y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    weight : float
        lambda, the weight of log p(x) in ``loss`` and nowhere else.

    Examples
    --------
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Levels, Reals
    >>> from dgm.flow.flow import Flow
    >>> flow = Flow([], StandardNormal((2,)), Reals((2,)))
    >>> model = HybridFlow(flow, nn.Linear(2, 3), Levels((), 3))
    >>> model.joint_log_prob(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, flow: nn.Module, head: nn.Module, labels: object, weight: float = 1.0):
        super().__init__()
        self.flow, self.head, self.labels = flow, head, labels
        self.data, self.weight = flow.data, _checked_weight(weight)

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    def _sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of the classes, and log p(x) (B,), from one pass."""
        z, log_det = self.flow(self.data.check(x, trusted=self.training))
        return self.head(z), self.flow.base.log_prob(z) + log_det

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """(B, K) nats, exact: column k is log p(x, y=k)."""
        logits, log_x = self._sides(x)
        return logits.log_softmax(1) + log_x[:, None]

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) (B,), nats, exact: the flow alone."""
        return self._sides(x)[1]

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x), the head at z = f(x)."""
        return Categorical(logits=self._sides(x)[0], validate_args=False)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """``log_x``: log p(x), and with labels ``log_y``: log p(y | x); (B,) nats each."""
        logits, log_x = self._sides(x)
        if y is None:
            return {"log_x": log_x}
        return {"log_x": log_x, "log_y": _log_label(self.labels, logits, y, self.training)}

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-log p(y | x) - weight * log p(x), (B,): nats of a probability for weight = 1 only.

        Without labels the second term alone.
        """
        return _weighted_loss(self.terms(x, y), self.weight)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of p(x), (n, *shape)."""
        return self.flow.sample(n, generator=generator)


class HybridBound(nn.Module):
    """A hybrid flow of integers: noise fills the bins, and log P(x, y) is bounded from below.

    log P(x, y) >= E[log p(y | z) + log p(x + u) - log q(u | x)] with z = f(x + u): the class is
    read off a noisy picture, in training as in the bound. `posterior` takes the middles of bins.

    Parameters
    ----------
    model : nn.Module
        ``flow``, ``noise`` and ``data``: a `Dequantize`, of which the parts are taken over.
    head, labels, weight
        As in `HybridFlow`.

    Notes
    -----
    Own method: ``dequantize``.
    """

    def __init__(self, model: nn.Module, head: nn.Module, labels: object, weight: float = 1.0):
        super().__init__()
        self.flow, self.noise, self.head = model.flow, model.noise, head
        self.data, self.labels = model.data, labels
        self.weight = _checked_weight(weight)

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    def _floats(self, x: Tensor) -> Tensor:
        """The checked x in the precision of the parameters."""
        return self.data.check(x, trusted=self.training).to(next(self.parameters()).dtype)

    def dequantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Integers x (B, *shape) -> x + u, and log q(u | x) (B,), nats."""
        whole = self._floats(x)
        u, log_q = self.noise(whole)
        return whole + u, log_q

    def _noisy_sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) at one draw of the noise, and the bound on log P(x) (B,) at that draw."""
        v, log_q = self.dequantize(x)
        z, log_det = self.flow(v)
        return self.head(z), self.flow.base.log_prob(z) + log_det - log_q

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """``log_x``: bound on log P(x); with labels ``log_y``: log p(y | z); (B,) nats."""
        logits, log_x = self._noisy_sides(x)
        if y is None:
            return {"log_x": log_x}
        return {"log_x": log_x, "log_y": _log_label(self.labels, logits, y, self.training)}

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log P(x) (B,), nats."""
        v, log_q = self.dequantize(x)
        return self.flow.log_prob(v) - log_q

    def joint_elbo(self, x: Tensor, y: Tensor) -> Tensor:
        """One-sample lower bound on log P(x, y) (B,), nats."""
        terms = self.terms(x, y)
        return terms["log_x"] + terms["log_y"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound on log P(x) with k draws of the noise (B,), nats; rises with k."""
        k = self.data.count(k, "k", least=1)
        many = self.data.check(x).repeat(k, *[1] * (x.ndim - 1))  # (k B, *shape)
        return self.elbo(many).view(k, -1).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-log p(y | z) - weight * bound on log P(x), (B,): nats of a bound for weight = 1 only.

        Without labels the second term alone.
        """
        return _weighted_loss(self.terms(x, y), self.weight)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | z) at the code of the middles of the bins of x: one draw stands for all noise."""
        middle = self._floats(x) + 0.5
        return Categorical(logits=self.head(self.flow(middle)[0]), validate_args=False)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of P(x), integers (n, *shape) as stored."""
        return self.data.stored(self.flow.sample(self.data.count(n), generator=generator))
