"""A classifier read as a joint energy model: p(x, y) = exp(f(x)[y]) / Z, and so p(x) and p(y | x).

Grathwohl, Wang, Jacobsen, Duvenaud, Norouzi and Swersky (2020), JEM, arXiv:1912.03263, eqs. 4-8.
The last step of a draw is Tweedie's formula: Efron (2011), doi:10.1198/jasa.2011.tm11181, eq. 1.4.
Needs torch only.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy


class JointEnergyModel(nn.Module):
    """The logits f(x) of a classifier as minus the energy of x together with each class.

    E(x, y) = -f(x)[y] and E(x) = -log sum_y exp f(x)[y]; p(y | x) is the softmax as ever. It
    leaves one number for each x free, the same for all classes, and f = net + b uses that: b is the
    log density of the law that the chains start from, so that an untrained net is that law. With
    ``noise`` s the density is that of pictures, scaled to -1 .. 1, plus Gaussian noise of deviation
    s in every pixel; a draw takes the noise off again.

    Own methods: ``logits``, ``log_g``, ``joint_energy``, ``refine``, ``denoise``. There is no
    ``log_prob``: Z is an integral over all pictures.

    Parameters
    ----------
    data : what x is, integers or reals: ``shape``, ``check(x)``, ``scaled``, ``stored``, ``count``.
    labels : what y is, ``Levels((), K)``.
    net : nn.Module
        Scaled pictures u (B, *shape) to logits (B, K); no layer may mix the examples of a batch.
    chains : nn.Module
        Gives the negatives and walks, see langevin_replay.py.
    noise : float
        s, in units of the scaled data.
    weight : float
        Of log p(x) in `loss`: 1 is the joint likelihood, 0 the plain classifier.
    draw_steps : int
        Steps of a chain in `sample`.
    base : bool
        Whether b is there; without it f = net, as published.

    Examples
    --------
    >>> from dgm.distribution.support import Levels, Reals
    >>> from dgm.jem.class_gaussians import ClassGaussians
    >>> from dgm.jem.langevin_replay import LangevinReplay
    >>> points, labels = Reals((2,)), Levels((), 3)
    >>> chains = LangevinReplay(ClassGaussians(points, labels), step_size=0.1, box=4.0)
    >>> model = JointEnergyModel(points, labels, nn.Linear(2, 3), chains)
    >>> model.energy(torch.zeros(5, 2)).shape, model.joint_energy(torch.zeros(5, 2)).shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(
        self, data: Any, labels: Any, net: nn.Module, chains: nn.Module, noise: float = 0.0,
        weight: float = 1.0, draw_steps: int = 50, base: bool = True,
    ):  # fmt: skip
        super().__init__()
        for name, value in (("noise", noise), ("weight", weight)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")
        self.data, self.labels, self.net, self.chains = data, labels, net, chains
        self.noise, self.weight, self.base = noise, weight, bool(base)
        self.draw_steps = data.count(draw_steps, "draw_steps")

    def logits(self, u: Tensor) -> Tensor:
        """f(u) (B, K) of scaled pictures u (B, *shape): net(u)[y] + b(u)."""
        f = self.net(u)
        return f + self.chains.start.log_prob(u)[:, None] if self.base else f

    def log_g(self, u: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(u) + log Z, (B,) nats; with y (B,) it is log p(u, y) + log Z."""
        f = self.logits(u)  # (B, K)
        return f.logsumexp(1) if y is None else f.gather(1, y[:, None]).squeeze(1)

    def _scaled(self, x: Tensor) -> Tensor:
        like = next(self.parameters())
        return self.data.scaled(self.data.check(x, trusted=self.training), dtype=like.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """net(x) (B, K) of x (B, *shape) as stored: the classifier, unchanged."""
        return self.net(self._scaled(x))

    def joint_energy(self, x: Tensor) -> Tensor:
        """E(x, y) for every class, (B, K) nats: log p(x, y) = -E(x, y) - log Z."""
        return -self.logits(self._scaled(x))

    def energy(self, x: Tensor) -> Tensor:
        """E(x), (B,) nats: log p(x) = -E(x) - log Z, the class summed out."""
        return -self.log_g(self._scaled(x))

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x): Z cancels, and so does all that the logits have in common."""
        return Categorical(logits=self(x), validate_args=False)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """(B,) each: `contrast`, E(x) less that of the negatives; with y `class`, -log p(y | x)."""
        of_data, contrast = self._contrast(x)
        if y is None:
            return {"contrast": contrast}
        y = self.labels.check(y, "y", trusted=self.training)
        return {"contrast": contrast, "class": cross_entropy(of_data, y, reduction="none")}

    def _contrast(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of x, with noise in training, and the contrast (B,), with the slope of -log p."""
        u = self._scaled(x)
        if self.training and self.noise:
            u = u + self.noise * torch.randn_like(u)
        negatives = self.chains(self.log_g)  # without gradient
        f, f_negatives = self.logits(torch.cat((u, negatives))).tensor_split((len(u),))
        return f, f_negatives.logsumexp(1).mean() - f.logsumexp(1)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-log p(y | x) + weight * contrast, (B,); of examples without labels the contrast alone.

        It is no number of nats: only its gradient is that of -log p(x, y), as far as the negatives
        follow p(x).
        """
        if y is None:
            return self._contrast(x)[1]
        if self.weight == 0:
            u = self._scaled(x)
            u = u + self.noise * torch.randn_like(u) if self.training else u
            y = self.labels.check(y, "y", trusted=self.training)
            return cross_entropy(self.net(u), y, reduction="none")
        terms = self.terms(x, y)
        return terms["class"] + self.weight * terms["contrast"]

    def denoise(self, u: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of what u (B, *shape) was before the noise: u + s^2 grad log p(u)."""
        return u + self.noise**2 * self.chains.slope(lambda v: self.log_g(v, y), u)

    def refine(self, u: Tensor, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """Scaled pictures u (B, *shape) after some steps of the chain towards likely pictures."""
        return self.chains.walk(self.log_g, u, self.data.count(steps, "steps"), generator)

    def as_stored(self, u: Tensor) -> Tensor:
        """Scaled pictures u as data are stored, the nearest level for every pixel."""
        v = self.data.unscaled(u)
        return self.data.stored(v + 0.5 if hasattr(self.data, "levels") else v)

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Ends of n chains, noise taken off: (n, *shape) as stored; y (n,) fixes the classes.

        A chain begins at a Gaussian of its class and climbs log p(x, y), or log p(x) without y.
        Its law is the model's only where it is long enough. The generator is on the model's device.
        """
        like = self.chains.kept
        if self.data.count(n) == 0:
            return self.data.stored(like.new_empty(0, *self.data.shape))
        if y is None:
            u = self.chains.begin(n, generator)
        else:
            y = self.labels.check(y, "y").to(like.device)
            if len(y) != n:
                raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
            u = self.chains.start.draw(y, generator)
        u = self.chains.walk(lambda v: self.log_g(v, y), u, self.draw_steps, generator)
        return self.as_stored(self.denoise(u, y) if self.noise else u)
