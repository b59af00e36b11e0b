"""Flows for all classes in one: log p(x | y) by one invertible map and a base that knows the class.

Fetaya, Jacobsen, Grathwohl and Zemel (2020), arXiv:1906.01171: Bayes' rule makes a classifier of
it, "reweighting" the class term trains a good one, and with "split" only the last part of the code
knows the class. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


class ClassNormals(nn.Module):
    """Gaussians N(m_y, I) of a code z (D,): the last ``classed`` entries have a mean for each.

    The first D - classed entries are standard normal whatever the class. All scales are one (the
    layers before can scale), so log p(z | y) differs between classes by a linear map of z.
    """

    def __init__(self, dims: int, n_classes: int, classed: int | None = None):
        super().__init__()
        classed = dims if classed is None else classed
        if not 1 <= classed <= dims:
            raise ValueError(f"classed must lie in 1 .. {dims}, got {classed!r}")
        self.free = dims - classed
        self.shift = nn.Parameter(0.1 * torch.randn(n_classes, classed))

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, D) -> log p(z | y) for every class, (B, K) nats."""
        free, z = z[:, : self.free], z[:, self.free :]
        of_class = z @ self.shift.T - 0.5 * self.shift.square().sum(1)  # (B, K)
        every = free.square().sum(1, keepdim=True) + z.square().sum(1, keepdim=True)
        constant = math.log(2 * math.pi) * (self.free + z.shape[1])
        return of_class - 0.5 * (every + constant)

    def draw(self, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One code for every class in y (B,), (B, D)."""
        width = self.free + self.shift.shape[1]
        like = dict(device=y.device, dtype=self.shift.dtype)
        noise = torch.randn(len(y), width, generator=generator, **like)
        return torch.cat((noise[:, : self.free], self.shift[y] + noise[:, self.free :]), 1)


class ClassFlow(nn.Module):
    """log p(x | y) = log p(z | y) + log|det dz/dx|, z = f(x): exact, and p(y | x) by Bayes' rule.

    Own method: ``class_log_prob``.

    Parameters
    ----------
    flow : nn.Module
        ``forward(x) -> (z (B, D), log_det (B,))``, ``inverse(z)``, ``data``: a `Flow`, whose own
        base is not used.
    base : nn.Module
        ``log_prob(z) -> (B, K)`` and ``draw(y, generator)``: `ClassNormals`.
    labels : Levels
        What y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    class_weight : float
        a in the loss -log p(x) - a log p(y | x): 1 is -log p(x, y), more is "reweighting".

    Examples
    --------
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Levels, Reals
    >>> from dgm.flow.flow import Flow
    >>> flow = Flow([], StandardNormal((2,)), Reals((2,)))
    >>> model = ClassFlow(flow, ClassNormals(2, 3), Levels((), 3))
    >>> model.joint_log_prob(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, flow: nn.Module, base: nn.Module, labels: object, class_weight: float = 1.0):
        super().__init__()
        if not 0 <= class_weight < math.inf:
            raise ValueError(f"class_weight must be finite and at least 0, got {class_weight!r}")
        self.layers, self.base, self.data = flow.layers, base, flow.data
        self.labels, self.class_weight = labels, class_weight
        self.register_buffer("log_prior", torch.full((labels.levels,), -math.log(labels.levels)))

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> the code z (B, D) and log|det dz/dx| (B,), nats."""
        changes = [x.new_zeros(len(x))]
        for layer in self.layers:
            x, change = layer(x)
            changes.append(change)
        return x, sum(changes)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, *shape), the layers undone in reverse order."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def class_log_prob(self, x: Tensor) -> Tensor:
        """log p(x | y) for every class, (B, K) nats, exact."""
        z, log_det = self(self.data.check(x, trusted=self.training))
        return self.base.log_prob(z) + log_det[:, None]

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, y) = log p(y) + log p(x | y), (B, K) nats, exact."""
        return self.log_prior + self.class_log_prob(x)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) (B,), nats, exact: the class summed out."""
        return self.joint_log_prob(x).logsumexp(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x) by Bayes' rule."""
        return Categorical(logits=self.joint_log_prob(x), validate_args=False)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-log p(x) - class_weight * log p(y | x), (B,): nats of p(x, y) for a weight of 1 only.

        Without labels the first term alone.
        """
        joint = self.joint_log_prob(x)
        log_x = joint.logsumexp(1)
        if y is None:
            return -log_x
        y = self.labels.check(y, "y", trusted=self.training)
        if len(y) != len(x):
            raise ValueError(f"y must hold a label for each of {len(x)} x, got {len(y)}")
        log_y = joint.gather(1, y[:, None]).squeeze(1) - log_x
        return -log_x - self.class_weight * log_y

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws (n, *shape): of p(x | y) for the classes y (n,), else of p(x)."""
        if self.data.count(n) == 0:
            return self.log_prior.new_zeros(0, *self.data.shape)
        if y is None:
            y = self.log_prior.exp().multinomial(n, replacement=True, generator=generator)
        y = self.labels.check(y, "y").to(self.log_prior.device)
        if len(y) != n:
            raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
        training = [module for module in self.modules() if module.training]
        self.eval()
        x = self.inverse(self.base.draw(y, generator))
        for module in training:
            module.training = True
        return x


class ClassFlowBound(nn.Module):
    """A `ClassFlow` of integers: noise fills the bins, and log P(x) is bounded from below.

    A classifier must give one answer to one picture: `posterior` and `picture_logits` take the
    middles of the bins and draw nothing. Own methods: ``dequantize``, ``picture_logits``.

    Parameters
    ----------
    flow : ClassFlow
        Of x + u, u in [0, 1).
    data : Levels (support.py)
        What x is: ``check(x)``, ``stored(v)``, ``count(n)``, ``levels``.
    noise : nn.Module
        Floats x (B, *shape) -> (u, log q(u|x) (B,)): `UniformNoise`, `FlowNoise` (dequantize.py).
    """

    def __init__(self, flow: nn.Module, data: object, noise: nn.Module):
        super().__init__()
        self.flow, self.data, self.noise, self.labels = flow, data, noise, flow.labels

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Let the layers of the flow that can (marginal.py) start from training data x."""
        self.data.check(x)
        for layer in self.flow.modules():
            if hasattr(layer, "start_from"):
                layer.start_from(x, self.data)

    def _floats(self, x: Tensor) -> Tensor:
        """The checked x in the precision of the parameters."""
        return self.data.check(x, trusted=self.training).to(self.flow.log_prior.dtype)

    def dequantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Integers x (B, *shape) -> x + u, and log q(u|x) (B,), nats."""
        x = self._floats(x)
        u, log_q = self.noise(x)
        return x + u, log_q

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log P(x) (B,), nats."""
        v, log_q = self.dequantize(x)
        return self.flow.log_prob(v) - log_q

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound on log P(x) with k draws of the noise (B,), nats; rises with k."""
        log_w = [self.elbo(x) for _ in range(self.data.count(k, "k", least=1))]
        return torch.stack(log_w).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """`ClassFlow.loss` at one draw of the noise, and what the noise costs, (B,)."""
        v, log_q = self.dequantize(x)
        return self.flow.loss(v, y) + log_q

    def picture_logits(self, u: Tensor) -> Tensor:
        """Pictures u (B, *shape) of reals in 0 .. 1 -> log p(x, y) (B, K) where they lie, nats.

        u = 0 and 1 are the middles of the first and the last bin; attacks need a slope in u.
        """
        return self.flow.joint_log_prob((self.data.levels - 1) * u + 0.5)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x) at the middles of the bins of x."""
        return Categorical(
            logits=self.flow.joint_log_prob(self._floats(x) + 0.5), validate_args=False
        )

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws, integers (n, *shape) as stored, of the classes y (n,) where given."""
        return self.data.stored(self.flow.sample(n, y=y, generator=generator))
