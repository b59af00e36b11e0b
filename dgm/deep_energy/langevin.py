"""Langevin chains: a step down the energy, and noise; and their law where steps are not small.

Langevin (1908); as a sampler: Parisi (1981), doi:10.1016/0550-3213(81)90056-0; its bias: Roberts
and Tweedie (1996), doi:10.2307/3318418. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def langevin_variance(step: float, variance: float = 1.0, temperature: float = 1.0) -> float:
    """Variance that chains of this step settle at on a Gaussian energy x^2 / (2 variance), exact.

    temperature * variance / (1 - step / (2 variance)): too large, by a share in proportion to the
    step. Solves s = (1 - step / variance)^2 s + 2 step temperature.

    Raises
    ------
    ValueError
        A number is not positive, or step is not below 2 variance: the chains run away.

    Examples
    --------
    >>> round(langevin_variance(0.5), 4)
    1.3333
    """
    for name, value in dict(step=step, variance=variance, temperature=temperature).items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    if step >= 2 * variance:
        raise ValueError(
            f"step must be below 2 * variance = {2 * variance:g}, got {step:g}: the chains run away"
        )
    return temperature * variance / (1 - step / (2 * variance))


class Langevin(nn.Module):
    """x <- x - step dE/dx + sqrt(2 step temperature) noise, again and again.

    The law of the chains is exp(-E / temperature) / Z as far as the step is small.

    Own methods: ``settle``.

    Parameters
    ----------
    step : float
        a, in units of x squared. The noise has the standard deviation sqrt(2 a), not 2 a.
    temperature : float
        1 for the model's own law.
    clip : float
        Largest entry of the gradient that is followed; infinite for Langevin's equation.
    box : (low, high) or None
        Where every entry is brought back to after each step; None for Langevin's equation.

    Raises
    ------
    ValueError
        step, temperature or clip is not positive, or box is empty.

    Examples
    --------
    >>> walk = Langevin(step=0.1)
    >>> x, _ = walk(lambda x: 0.5 * x.square().sum(1), torch.zeros(5000, 1), steps=100)
    >>> abs(x.var().item() - langevin_variance(0.1)) < 0.1
    True
    """

    def __init__(
        self, step: float, temperature: float = 1.0, clip: float = math.inf,
        box: tuple[float, float] | None = None,
    ):  # fmt: skip
        super().__init__()
        for name, value in dict(step=step, temperature=temperature).items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
        if not clip > 0:
            raise ValueError(f"clip must be positive, got {clip!r}")
        if box is not None and not box[0] < box[1]:
            raise ValueError(f"box must be (low, high) with low < high, got {box!r}")
        self.temperature, self.clip, self.box = temperature, clip, box
        self.register_buffer("step", torch.tensor(float(step)))

    def settle(self, accepted: float) -> None:
        """Nothing: these chains take every step, so there is nothing to settle by."""

    def forward(
        self,
        energy: Callable[[Tensor], Tensor],
        x: Tensor,
        steps: int = 1,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, float]:
        """Chains x (B, ...) after ``steps``, without gradient, and the share of steps taken: 1.

        ``energy`` maps (B, ...) to (B,).
        """
        step, x = self.step.to(x.dtype), x.detach()
        for _ in range(steps):
            with torch.enable_grad():
                x.requires_grad_()
                (slope,) = torch.autograd.grad(energy(x).sum(), x)
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = x.detach() - step * slope.clamp(-self.clip, self.clip)
            x = x + (2 * step * self.temperature).sqrt() * noise
            if self.box is not None:
                x = x.clamp(*self.box)
        return x, 1.0
