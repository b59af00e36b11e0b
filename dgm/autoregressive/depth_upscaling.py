"""Depth upscaling: first the high bits of every pixel, then the low bits given all of them.

Menick & Kalchbrenner (2019), arXiv:1812.01608, section 3.3. Needs torch only.
"""

import torch
from torch import Tensor, nn


class DepthUpscaling(nn.Module):
    """p(x) = p(coarse) p(fine | coarse) for x = step * coarse + fine: first the high bits, exact.

    Parameters
    ----------
    coarse : a model of images of ceil(levels / step) levels, with ``log_prob`` and ``sample``.
    fine : a `Subscale` (subscale.py) of ``step`` levels, with given_levels = ceil(levels / step)
        and top = levels: no value beyond the last has any mass.
    levels, step : values 0 .. levels-1 of x, and how many of them share a coarse value.
    """

    def __init__(self, coarse: nn.Module, fine: nn.Module, levels: int, step: int):
        super().__init__()
        if not 2 <= step < levels or (fine.levels, fine.top) != (step, levels):
            raise ValueError(
                f"2 <= step < levels and fine made for both, got step {step}, levels {levels}, and "
                f"fine with levels {fine.levels} and top {fine.top}"
            )
        self.coarse, self.fine = coarse, fine
        self.shape, self.levels, self.step = fine.shape, levels, step

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """log p(coarse) and log p(fine | coarse), (B,) nats each; they add up to log p(x)."""
        x = self.fine.check(x, self.levels)
        high, low = x // self.step, x % self.step
        return {"coarse": self.coarse.log_prob(high), "fine": self.fine.log_prob(low, high)}

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats."""
        return sum(self.terms(x).values())

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape) as stored: the coarse image, then its fine values."""
        high = self.coarse.sample(n, generator=generator).long()
        x = self.step * high + self.fine.sample(n, given=high, generator=generator)
        return x.to(torch.uint8) if self.levels <= 256 else x
