"""Analysis by synthesis: a picture belongs to the class whose own VAE can paint it best.

Schott, Rauber, Bethge and Brendel (2019), arXiv:1805.09190: one VAE for each class, the best code
found by search and descent, not by the encoder, and a floor of the confidence. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


class AnalysisBySynthesis(nn.Module):
    """l_k(u) = max_z -(|u - G_k(z)|^2 + beta |z|^2) / D for each class k; the largest one decides.

    Pictures u are in 0 .. 1. The codes are searched among the same ``samples`` draws of the prior
    for every picture, then moved by Adam, inside a ball of radius 5. At the best code l_k has the
    slope -2 (u - G_k(z)) / D in u, whatever moves z (the envelope theorem): `bounds` gives that to
    attackers, and nothing is hidden from them.

    Own methods: ``bounds``, ``best_codes``, ``synthesis``, ``picture_logits``. There is no
    ``elbo``: a Gaussian of integers has no mass.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        ``shape``, ``check(x)``, ``scaled(x, low, high)``, ``unscaled``, ``stored``, ``count``.
    labels : what y is, ``Levels((), K)``.
    encoder : nn.Module
        Pictures and one-hot classes (B, D + K) to means and log variances (B, 2 d): training only.
    decoders : nn.Module
        ``decoders(z (K, B, d)) -> (K, B, D)`` and ``of(z, y)``; `ClassMLPs`. A sigmoid comes after.
    latent_dim : int
        d.
    noise : float
        Standard deviation of a pixel in training: the loss is |u - G|^2 / (2 noise^2) + KL.
    beta, scale, floor : float
        Of l_k; p(y | x) is proportional to exp(scale l_y) + floor.
    samples, steps, rate : draws of the prior; steps and rate of Adam.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.nets.class_mlps import ClassMLPs
    >>> data, labels = Levels((1, 2, 2), 17), Levels((), 3)
    >>> model = AnalysisBySynthesis(data, labels, nn.Linear(7, 4), ClassMLPs(3, 2, 4), 2)
    >>> model.bounds(torch.zeros(5, 1, 2, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self, data: object, labels: object, encoder: nn.Module, decoders: nn.Module,
        latent_dim: int, noise: float = 0.3, beta: float = 0.1, scale: float = 440.0,
        floor: float = 4e-5, samples: int = 500, steps: int = 25, rate: float = 0.05,
    ):  # fmt: skip
        super().__init__()
        for name, value in (("noise", noise), ("scale", scale), ("rate", rate)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and above 0, got {value!r}")
        self.data, self.labels, self.encoder, self.decoders = data, labels, encoder, decoders
        self.noise, self.beta, self.scale, self.floor = noise, beta, scale, floor
        self.steps, self.rate = data.count(steps, "steps"), rate
        self.latent_dim = data.count(latent_dim, "latent_dim", least=1)
        made = torch.Generator().manual_seed(0)  # the same search for every picture, always
        z = torch.randn(data.count(samples, "samples", least=1), latent_dim, generator=made)
        self.register_buffer("starts", z, persistent=False)
        self.register_buffer("class_scale", torch.ones(labels.levels))

    @property
    def condition(self) -> object:
        """What ``loss`` takes beside x: the labels."""
        return self.labels

    def _pictures(self, x: Tensor) -> Tensor:
        """Checked x as pictures in 0 .. 1, in the precision of the parameters."""
        x = self.data.check(x, trusted=self.training)
        return self.data.scaled(x, 0.0, 1.0, next(self.parameters()).dtype)

    # --- training -----------------------------------------------------------------------------

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """|u - G_y(z)|^2 / (2 noise^2) + KL(q(z | u, y) || N(0, I)) at one draw of z, (B,) nats.

        It is minus a bound on a density of u, up to the constant of the Gaussian.
        """
        u = self._pictures(x).flatten(1)
        y = self.labels.check(y, "y", trusted=self.training)  # every picture needs its class
        if len(y) != len(u):
            raise ValueError(f"y must hold a label for each of {len(u)} x, got {len(y)}")
        of_class = nn.functional.one_hot(y, self.labels.levels).to(u)
        mean, log_var = self.encoder(torch.cat((u, of_class), 1)).chunk(2, dim=1)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
        off = (u - torch.sigmoid(self.decoders.of(z, y))).square().sum(1)
        return off / (2 * self.noise**2) + kl

    # --- analysis -----------------------------------------------------------------------------

    def _score(self, u: Tensor, z: Tensor, painted: Tensor) -> Tensor:
        """-(|u - G|^2 + beta |z|^2) / D of u (B, D), z (K, B, d), painted (K, B, D): (K, B)."""
        off = (u - painted).square().sum(2) + self.beta * z.square().sum(2)
        return -off / u.shape[1]

    @torch.no_grad()
    def best_codes(self, u: Tensor) -> Tensor:
        """The best code of every class for pictures u (B, *shape), (K, B, d): search, then Adam."""
        u = u.detach().flatten(1)
        # among the draws: |u - g|^2 = |u|^2 + |g|^2 - 2 u.g, and |u|^2 is the same for all
        starts = self.starts.expand(self.labels.levels, *self.starts.shape)  # (K, S, d)
        painted = torch.sigmoid(self.decoders(starts))  # (K, S, D)
        cost = painted.square().sum(2) + self.beta * starts.square().sum(2)
        cost = cost[:, None] - 2 * (u @ painted.transpose(1, 2))  # (K, B, S)
        z = self.starts[cost.argmin(2)]  # (K, B, d)
        # descent: Adam by hand, each code for itself
        first, second = torch.zeros_like(z), torch.zeros_like(z)
        for step in range(1, self.steps + 1):
            with torch.enable_grad():
                at = z.requires_grad_()
                off = -self._score(u, at, torch.sigmoid(self.decoders(at))).sum()
                slope = torch.autograd.grad(off, at)[0]
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
            move = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            z = z.detach() - self.rate * move
            z = z * (5 / z.norm(dim=2, keepdim=True)).clamp_max(1.0)
        return z

    def bounds(self, u: Tensor) -> Tensor:
        """l_k(u) of pictures u (B, *shape) in 0 .. 1, (B, K), with its slope in u."""
        z, flat = self.best_codes(u), u.flatten(1)
        return self._score(flat, z, torch.sigmoid(self.decoders(z))).T

    def picture_logits(self, u: Tensor) -> Tensor:
        """scale * class_scale * l_k(u), (B, K): the largest one decides, before the floor."""
        return self.scale * self.class_scale * self.bounds(u)

    def synthesis(self, u: Tensor) -> Tensor:
        """What every class can do towards pictures u (B, *shape): (B, K, *shape) in 0 .. 1."""
        painted = torch.sigmoid(self.decoders(self.best_codes(u))).detach()
        return painted.transpose(0, 1).unflatten(2, self.data.shape)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x), proportional to exp(scale l_y) + floor: far from all classes it is uniform."""
        logits = self.picture_logits(self._pictures(x))
        floor = logits.new_tensor(max(self.floor, 1e-30)).log()
        return Categorical(logits=torch.logaddexp(logits, floor), validate_args=False)

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Means of n pictures (n, *shape) as stored, of the classes y (n,) where given."""
        like = self.decoders.level
        if y is None:
            k = self.labels.levels
            y = torch.randint(k, (self.data.count(n),), generator=generator, device=like.device)
        elif len(self.labels.check(y, "y")) != self.data.count(n):
            raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
        z = torch.randn(
            n, self.latent_dim, generator=generator, dtype=like.dtype, device=like.device
        )
        v = torch.sigmoid(self.decoders.of(z, y)).view(n, *self.data.shape)
        v = self.data.unscaled(v, 0.0, 1.0)
        return self.data.stored(v + 0.5 if hasattr(self.data, "levels") else v)
