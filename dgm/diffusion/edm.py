"""EDM: a network whose input, output and target have unit size at every noise, and Heun's steps.

Karras, Aittala, Aila and Laine (2022), arXiv:2206.00364, table 1, eqs. 5 and 7, algorithm 1.
Needs torch only.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


class EDM(nn.Module):
    """D(x; sigma) = c_skip x + c_out net(c_in x, c_noise), the mean of the data given data + noise.

    No density: it has ``score`` and ``sample``. Integers are taken to -1 .. 1.

    Parameters
    ----------
    data : Levels or Reals (support.py)
    net : ``net(x, level)`` of x (B, *shape) and level (B,) gives as many numbers.
    deviation : float
        Standard deviation of the data's entries.
    steps : int
        Of Heun's method in `sample`: two evaluations each, but one in the last.
    least, most : float
        Ends of the noise levels, spaced by their ``rho``-th roots.

    Notes
    -----
    Own methods: ``denoised``, D; ``noise_levels``, those of `sample`; ``heun``, its walk.
    """

    def __init__(
        self, data: object, net: nn.Module, deviation: float = 0.5, steps: int = 18,
        least: float = 0.002, most: float = 80.0, rho: float = 7.0,
    ):  # fmt: skip
        super().__init__()
        if not (0 < deviation < math.inf and 0 < least < most < math.inf and rho >= 1):
            got = f"{deviation!r}, {least!r}, {most!r} and {rho!r}"
            raise ValueError(f"deviation > 0, 0 < least < most and rho >= 1 needed, got {got}")
        self.data, self.net, self.deviation = data, net, deviation
        self.steps = data.count(steps, "steps", least=2)
        self.least, self.most, self.rho = least, most, rho

    def denoised(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x; sigma) like x (B, *shape), for sigma (B,)."""
        wide, data = sigma.view(-1, *[1] * (x.dim() - 1)), self.deviation
        whole = (wide.square() + data**2).sqrt()
        out = self.net(x / whole, 2 * sigma.log()).view_as(x)
        return (data / whole).square() * x + wide * data / whole * out

    def score(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Gradient of log p_sigma at x, (D - x) / sigma^2; sigma (B,), the least if None."""
        sigma = x.new_full((len(x),), self.least) if sigma is None else sigma
        return (self.denoised(x, sigma) - x) / sigma.square().view(-1, *[1] * (x.dim() - 1))

    def loss(self, x: Tensor) -> Tensor:
        """|D(x + sigma eps) - x|^2 / c_out^2 at a sigma of log-normal law, (B,), no unit."""
        x = self.data.check(x, trusted=self.training)
        u = self.data.scaled(x, dtype=next(self.parameters()).dtype)
        sigma = (1.2 * torch.randn(len(u)).to(u) - 1.2).exp()
        wide = sigma.view(-1, *[1] * (u.dim() - 1))
        error = (self.denoised(u + wide * torch.randn_like(u), sigma) - u).square()
        weight = (sigma.square() + self.deviation**2) / (sigma * self.deviation).square()
        return weight * error.flatten(1).sum(1)

    def noise_levels(self, steps: int | None = None) -> Tensor:
        """steps + 1 levels from ``most`` to ``least``, and then none: (steps + 1,)."""
        steps = self.data.count(self.steps if steps is None else steps, "steps", least=2)
        ends = [s ** (1 / self.rho) for s in (self.most, self.least)]
        return torch.cat((torch.linspace(*ends, steps) ** self.rho, torch.zeros(1)))

    @torch.no_grad()
    def heun(self, x: Tensor, levels: Tensor, path: list | None = None) -> Tensor:
        """x (n, *shape) at the first of the levels (S + 1,) -> at the last, by dx/ds = (x - D) / s.

        A step of Euler, then again with the mean of both slopes; at level 0 there is no slope.
        ``path`` gets every x.
        """
        for now, after in pairwise(levels.tolist()):
            slope = (x - self.denoised(x, torch.full((len(x),), now).to(x))) / now
            ahead = x + (after - now) * slope
            if after > 0:
                there = (ahead - self.denoised(ahead, torch.full((len(x),), after).to(x))) / after
                ahead = x + (after - now) * 0.5 * (slope + there)
            x = ahead
            if path is not None:
                path.append(x)
        return x

    @torch.no_grad()
    def sample(
        self, n: int, *, steps: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws (n, *shape) as stored, in ``steps`` of Heun's method."""
        like, levels = next(self.parameters()), self.noise_levels(steps)
        x = torch.empty(self.data.count(n), *self.data.shape).to(like)
        x = levels[0].to(like) * x.normal_(generator=generator)
        if not n:
            return self.data.stored(x)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        x = self.data.unscaled(self.heun(x, levels))
        for module, training in modes:
            module.training = training
        return self.data.stored(x.round() if hasattr(self.data, "levels") else x)
