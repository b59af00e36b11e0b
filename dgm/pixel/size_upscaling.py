"""Size upscaling: first a small image, by a model of its own, then the pixels between.

Menick & Kalchbrenner (2019), subscale pixel networks, arXiv:1812.01608, section 3.2 and figure 2.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class SizeUpscaling(nn.Module):
    """p(x) = p(small) p(rest | small), small = every scale-th pixel of every scale-th line; exact.

    Parameters
    ----------
    first : nn.Module
        A model of the small images (C, H / scale, W / scale): ``data``, ``log_prob``, ``sample``.
    rest : nn.Module
        An `Autoregressive` of the whole images whose ``order`` begins with the small one: of its
        factors (``place_terms``) those of the other pixels are used.
    scale : int
        At least 2.

    Raises
    ------
    ValueError
        The two are not made for each other.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.zoo.pixel import size_upscaling
    >>> model = size_upscaling(Levels((1, 4, 4), 3), width=4, blocks=1)
    >>> x = model.sample(5)
    >>> torch.allclose(sum(model.terms(x).values()), model.log_prob(x))
    True
    """

    def __init__(self, first: nn.Module, rest: nn.Module, scale: int = 2):
        super().__init__()
        channels, height, width = rest.data.shape
        small = (channels, height // max(scale, 1), width // max(scale, 1))
        if scale < 2 or height % scale or width % scale or first.data.shape != small:
            raise ValueError(
                f"first must model the shape of rest, {rest.data.shape}, divided by scale >= 2; "
                f"got {first.data.shape} and scale {scale}"
            )
        if first.data.levels != rest.data.levels:
            raise ValueError(
                f"first must have the levels of rest, {rest.data.levels}, got {first.data.levels}"
            )
        self.first, self.rest, self.scale, self.data = first, rest, scale, rest.data
        in_small = torch.zeros(rest.data.shape, dtype=torch.bool)
        in_small[:, ::scale, ::scale] = True
        if not in_small.flatten()[rest.order[: in_small.sum()].cpu()].all():
            raise ValueError("rest must have an order that begins with the small image")
        self.register_buffer("in_small", in_small, persistent=False)  # (C, H, W)

    def _small(self, x: Tensor) -> Tensor:
        return x[..., :: self.scale, :: self.scale]

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """log p(small) and log p(rest | small), (B,) nats each; they add up to log p(x)."""
        x = self.data.check(x, trusted=self.training)
        small = self.first.log_prob(self._small(x))
        places = self.rest.place_terms(x)  # (B, C, H, W)
        return {"small": small, "rest": places.masked_fill(self.in_small, 0).flatten(1).sum(1)}

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats."""
        return sum(self.terms(x).values())

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x)

    def start_from(self, x: Tensor) -> None:
        """Start both models at the level frequencies of x (N, C, H, W)."""
        x = self.data.check(x)
        self.first.start_from(self._small(x))
        self.rest.start_from(x)

    @torch.no_grad()
    def sample(
        self, n: int, *, small: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, C, H, W) as stored: the small image, then the rest given it.

        ``small`` (n or 1, C, H / scale, W / scale) is kept where given: an exact draw of the rest.
        The generator lives on the model's device.
        """
        n = self.data.count(n)
        if n == 0:
            return self.rest.sample(0)
        small = self.first.sample(n, generator=generator) if small is None else small
        small = self.first.data.check(small, "small")
        known = small.new_zeros(len(small), *self.data.shape)
        known[..., :: self.scale, :: self.scale] = small
        return self.rest.sample(n, known=known, mask=self.in_small, generator=generator)
