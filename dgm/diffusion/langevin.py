"""Langevin walks along a score: at one noise level, or annealed through several.

Song and Ermon (2019), arXiv:1907.05600, algorithm 1 and section 4.3. Needs torch only.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor


class AnnealedLangevin:
    """x <- x + a s(x, sigma) / 2 + sqrt(a) eps, with a = rate sigma^2, ``steps`` times a level.

    Parameters
    ----------
    sigmas : tensor (L,) or sequence
        Falling noise levels. One level is a plain Langevin walk.
    steps : int
        At each level.
    rate : float
        Length of a step at sigma = 1.

    Raises
    ------
    ValueError
        sigmas are not falling and positive, steps below 1, rate not positive.
    """

    def __init__(self, sigmas: Tensor, steps: int = 100, rate: float = 0.1):
        self.sigmas = tuple(torch.as_tensor(sigmas, dtype=torch.float64).flatten().tolist())
        falling = all(b < a for a, b in pairwise(self.sigmas))
        if not self.sigmas or not falling or not self.sigmas[-1] > 0:
            raise ValueError(f"sigmas must be positive and falling, got {sigmas}")
        if isinstance(steps, bool) or steps < 1 or not rate > 0:
            raise ValueError(f"steps >= 1 and rate > 0 needed, got {steps!r} and {rate!r}")
        self.steps, self.rate = steps, rate

    @torch.no_grad()
    def __call__(
        self, score: Callable[[Tensor, Tensor], Tensor], x: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Walk from x (n, *shape); ``score(x, sigma (n,))`` is like x."""
        for sigma in self.sigmas:
            level, length = torch.full((len(x),), sigma).to(x), self.rate * sigma**2
            for _ in range(self.steps):
                eps = torch.empty_like(x).normal_(generator=generator)
                x = x + 0.5 * length * score(x, level) + length**0.5 * eps
        return x
