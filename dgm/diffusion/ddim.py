"""DDIM: the same network, fewer steps, and as much or as little noise as one likes.

Song, Meng and Ermon (2021), arXiv:2010.02502, eqs. 12 and 16; guidance by labels: Ho and Salimans
(2022), arXiv:2207.12598, eq. 6. Needs torch only.
"""

from itertools import pairwise

import torch
from torch import Tensor


class DDIM:
    """``sampler(model, n)``: n draws in ``steps`` evaluations of the model's network.

    z_s = alpha_s x_hat + sqrt(sigma_s^2 - c^2) eps_hat + c eps, with c^2 = eta^2 times the variance
    of q(z_s | z_t, x). With eta = 0 the noise at the start decides everything; with eta = 1 these
    are the model's own steps, of whatever length. The last x_hat is rounded.

    Parameters
    ----------
    steps : int
        Times, evenly spaced in t.
    eta : float
        0 .. 1.
    guidance : float
        w in (1 + w) x_hat(y) - w x_hat(no label), both in one pass; 0 is none.

    Raises
    ------
    ValueError
        steps is no whole number of at least 1, eta not in 0 .. 1, guidance negative.
    """

    def __init__(self, steps: int, eta: float = 0.0, guidance: float = 0.0):
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
        if not 0 <= eta <= 1 or not 0 <= guidance < float("inf"):
            raise ValueError(f"eta in 0 .. 1 and guidance >= 0 needed, got {eta!r}, {guidance!r}")
        self.steps, self.eta, self.guidance = steps, eta, guidance

    def _guided(self, model: object, z: Tensor, gamma: Tensor, y: Tensor | None) -> Tensor:
        """x_hat of the labels y, pushed away from that of no label."""
        if y is None or self.guidance == 0:
            return model.predictor(z, gamma, y)
        both = torch.cat((y, torch.full_like(y, model.condition.levels)))
        with_y, without = model.predictor(z.repeat(2, *[1] * (z.dim() - 1)), gamma.repeat(2), both)\
            .chunk(2)  # fmt: skip
        return (1 + self.guidance) * with_y - self.guidance * without

    @torch.no_grad()
    def __call__(
        self, model: object, n: int, *, y: Tensor | None = None, start: Tensor | None = None,
        generator: torch.Generator | None = None, path: list | None = None,
    ) -> Tensor:  # fmt: skip
        """n draws (n, *shape) as stored; the model is a `Diffusion` in eval mode.

        Parameters
        ----------
        y : labels (n,).
        start : the noise to start from, (n, *shape), in the place of a new one.
        path : a list that gets (t, z, x_hat) before every step.
        """
        like = next(model.parameters())
        z = torch.empty(model.data.count(n), *model.data.shape).to(like)
        z = z.normal_(generator=generator) if start is None else start.to(like)
        if y is not None:
            y = model.condition.check(y.expand(n) if y.dim() == 0 else y, "y")
        times = torch.linspace(1, 0, self.steps + 1).to(like).tolist()
        for t, s in pairwise(times):
            gamma_t, gamma_s = (model.schedule(torch.full((n,), u).to(like)) for u in (t, s))
            x_hat = self._guided(model, z, gamma_t, y)
            if path is not None:
                path.append((t, z, x_hat))
            z = self.step(model.process, z, x_hat, gamma_s, gamma_t, generator)
        x_hat = self._guided(model, z, gamma_s, y)
        return model.data.stored(model.data.unscaled(x_hat).round_())

    def step(
        self, process: object, z: Tensor, x_hat: Tensor, gamma_s: Tensor, gamma_t: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """z_t -> z_s like z, from gamma_t (B,) to the smaller gamma_s (B,)."""
        alpha_t, sigma_t = process.signal_and_noise(gamma_t, z)
        alpha_s, sigma_s = process.signal_and_noise(gamma_s, z)
        eps_hat = (z - alpha_t * x_hat) / sigma_t
        fresh = self.eta * (0.5 * process.step_back(z, x_hat, gamma_s, gamma_t)[1]).exp()
        z = alpha_s * x_hat + (sigma_s.square() - fresh**2).clamp_min(0).sqrt() * eps_hat
        if self.eta > 0:
            z = z + fresh * torch.empty_like(z).normal_(generator=generator)
        return z
