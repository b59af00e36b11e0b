"""Depth upscaling: first the high bits of every pixel, then the low bits given all of them.

Menick & Kalchbrenner (2019), arXiv:1812.01608, section 3.3. Needs torch only.
"""

import torch
from torch import Tensor, nn


class DepthUpscaling(nn.Module):
    """p(x) = p(coarse) p(fine | coarse) for x = step * coarse + fine: first the high bits, exact.

    With a coarse model that is itself upscaled in size (size_upscaling.py) it is both at once.

    Parameters
    ----------
    coarse : nn.Module
        A model of images of ceil(levels / step) levels: ``data``, ``log_prob``, ``sample``.
    fine : nn.Module
        A model of images of ``step`` levels given a map y of coarse ones: ``log_prob(x, y)`` and
        ``sample(n, y=y)``. Values beyond the last level should have no mass.
    data : Levels (support.py)
        What x is: ``shape``, ``levels``, ``check(x)``, ``stored(x)``, ``count(n)``.
    step : int
        How many values share a coarse one, 2 <= step < levels.

    Raises
    ------
    ValueError
        The parts are not made for each other.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.zoo.pixel import depth_upscaling
    >>> model = depth_upscaling(Levels((1, 4, 4), 5), width=4, blocks=1)
    >>> x = model.sample(5)
    >>> torch.allclose(sum(model.terms(x).values()), model.log_prob(x))
    True
    """

    def __init__(self, coarse: nn.Module, fine: nn.Module, data: object, step: int):
        super().__init__()
        if not 2 <= step < data.levels:
            raise ValueError(f"2 <= step < levels needed, got {step} and {data.levels} levels")
        needed = (-(-data.levels // step), step, data.shape, data.shape)
        got = (coarse.data.levels, fine.data.levels, coarse.data.shape, fine.data.shape)
        if got != needed:
            raise ValueError(
                f"levels and shapes of coarse and fine must be {needed} for step {step}, got {got}"
            )
        self.coarse, self.fine, self.data, self.step = coarse, fine, data, step

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """log p(coarse) and log p(fine | coarse), (B,) nats each; they add up to log p(x)."""
        x = self.data.check(x, trusted=self.training)
        high, low = x // self.step, x % self.step
        return {"coarse": self.coarse.log_prob(high), "fine": self.fine.log_prob(low, high)}

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats."""
        return sum(self.terms(x).values())

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x)

    def start_from(self, x: Tensor) -> None:
        """Start both models at the level frequencies of x (N, C, H, W)."""
        x = self.data.check(x)
        self.coarse.start_from(x // self.step)
        self.fine.start_from(x % self.step)

    @torch.no_grad()
    def sample(
        self, n: int, *, coarse: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, C, H, W) as stored: the coarse image, then its fine values.

        ``coarse`` (n, C, H, W) is kept where given: an exact draw of the fine values.
        The generator lives on the model's device.
        """
        n = self.data.count(n)
        high = self.coarse.sample(n, generator=generator) if coarse is None else coarse
        if n > 0:
            high = self.coarse.data.check(high, "coarse")
        low = self.fine.sample(n, y=high, generator=generator)
        return self.data.stored(self.step * high.long() + low)
