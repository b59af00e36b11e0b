"""Generative adversarial network: a generator and the critic that teaches it.

Goodfellow et al. (2014), arXiv:1406.2661, algorithm 1. Needs torch only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def _held(net: nn.Module) -> Iterator[None]:
    """Gradients pass through ``net`` and stay out of its parameters."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


class GAN(nn.Module):
    """x = G(z), z from the prior; a critic with one logit, which sees data scaled to -1 .. 1.

    There is no density and no bound on one, so there is no method that gives it.

    Own methods: `draw`, `critic_loss`, `generator_loss`, `decode`.

    Parameters
    ----------
    data : `Levels` or `Reals`.
    generator : z (B, *prior) -> (B, D) or (B, *shape), levels on the scale -1 .. 1.
    critic : (B, *shape) -> (B,) or (B, 1), a logit: above zero means real.
    game : what either player minimises, see `games.py`.
    prior : anything with ``sample(n, generator=)``.
    penalty : what the critic pays, ``penalty(critic, real, fake) -> (B,)``; None: nothing.
    noise : levels are spread over this share of their bin before the critic sees them.

    Examples
    --------
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Reals
    >>> from dgm.gan.games import NonSaturating
    >>> nets = nn.Linear(3, 2), nn.Linear(2, 1)
    >>> gan = GAN(Reals((2,)), *nets, NonSaturating(), StandardNormal((3,)))
    >>> gan.sample(5).shape, hasattr(gan, "log_prob")
    (torch.Size([5, 2]), False)
    """

    def __init__(
        self,
        data: Any,
        generator: nn.Module,
        critic: nn.Module,
        game: Any,
        prior: nn.Module,
        penalty: Callable[[Callable, Tensor, Tensor], Tensor] | None = None,
        noise: float = 0.0,
    ):
        super().__init__()
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must lie in 0 .. 1, got {noise!r}")
        self.data, self.generator, self.critic, self.prior = data, generator, critic, prior
        self.game, self.penalty, self.noise = game, penalty, noise

    def _logit(self, u: Tensor) -> Tensor:
        return self.critic(u).reshape(len(u))

    def _real(self, x: Tensor) -> Tensor:
        """Data as the critic sees them."""
        dtype = next(self.parameters()).dtype
        u = self.data.scaled(self.data.check(x, trusted=True), dtype=dtype)
        if self.noise:
            bin_width = self.data.scaled(torch.ones((), device=x.device), 0.0, 2.0)
            u = u + self.noise * bin_width * (torch.rand_like(u) - 0.5)
        return u

    def draw(self, n: int) -> Tensor:
        """n fakes (n, *shape) on the critic's scale, with their gradient."""
        return self.generator(self.prior.sample(n)).reshape(n, *self.data.shape)

    def critic_loss(self, x: Tensor) -> Tensor:
        """What the critic minimises on data x and as many fakes, (B,); no gradient reaches G."""
        real, fake = self._real(x), self.draw(len(x)).detach()
        logits = self._logit(torch.cat((real, fake))).chunk(2)
        loss = self.game.critic(*logits)
        return loss if self.penalty is None else loss + self.penalty(self._logit, real, fake)

    def generator_loss(self, x: Tensor) -> Tensor:
        """What the generator minimises, (B,), through a critic that is held."""
        with _held(self.critic):
            logits = self._logit(torch.cat((self._real(x), self.draw(len(x)))))
            return self.game.generator(*logits.chunk(2))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """The losses of the two players, (B,) each, on data x and draws of their own."""
        return {"critic": self.critic_loss(x), "generator": self.generator_loss(x)}

    def loss(self, x: Tensor) -> Tensor:
        """The sum of both (B,): each network gets the gradient of its own loss. It has no unit."""
        return sum(self.terms(x).values())

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Codes z (B, *prior) -> x (B, *shape), as stored; modes are put back."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            u = self.generator(z).reshape(len(z), *self.data.shape)
        finally:
            for module, training in modes:
                module.training = training
        v = self.data.unscaled(u)
        return self.data.stored(v + 0.5 if hasattr(self.data, "levels") else v)  # the nearest level

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored: one pass of the generator."""
        n = self.data.count(n)
        return self.decode(self.prior.sample(max(n, 1), generator=generator))[:n]
