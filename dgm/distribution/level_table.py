"""One table of level frequencies per pixel: the simplest exact model of a discrete image.

The class-conditional law of naive Bayes: Bishop (2006), section 4.2.3; the pseudo-count is
Laplace's rule of succession (1814).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class LevelTable(nn.Module):
    """p(x) = prod_d p_d(x_d): pixels independent, each with its own table over 0 .. levels-1.

    Parameters
    ----------
    shape : shape of one example, e.g. (1, 8, 8).
    levels : number of values a pixel can take. Starts as the uniform law.

    Example
    -------
    >>> x = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> LevelTable((1, 2, 2), 16).log_prob(x)  # -4 log 16
    tensor([-11.0904], grad_fn=<SumBackward1>)
    """

    def __init__(self, shape: tuple[int, ...], levels: int):
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.shape, self.levels = tuple(shape), levels
        self.logits = nn.Parameter(torch.zeros(math.prod(shape), levels))

    @classmethod
    @torch.no_grad()
    def fit(cls, x: Tensor, levels: int, pseudo_count: float = 0.0) -> "LevelTable":
        """The maximum-likelihood tables of x (N, ...): the observed frequencies.

        `pseudo_count` imaginary observations are added to every level, so that a level never
        seen keeps a probability above zero.
        """
        if pseudo_count < 0 or (len(x) == 0 and pseudo_count == 0):
            raise ValueError(f"pseudo_count must be >= 0 (> 0 without data), got {pseudo_count}")
        self = cls(tuple(x.shape[1:]), levels)
        pixels = self._pixels(x) if len(x) else x.flatten(1)  # (N, D)
        counts = torch.stack([(pixels == k).sum(0) for k in range(levels)], dim=1)  # (D, levels)
        self.logits.copy_((counts + pseudo_count).log())
        return self

    def _pixels(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape or x.is_floating_point() or len(x) == 0:
            raise ValueError(
                f"x must be integers of shape (B > 0, {', '.join(map(str, self.shape))}), "
                f"got {x.dtype} of shape {tuple(x.shape)}"
            )
        pixels = x.flatten(1).long()
        if not 0 <= int(pixels.min()) <= int(pixels.max()) < self.levels:
            raise ValueError(
                f"x must hold levels 0 .. {self.levels - 1}, "
                f"got values from {int(pixels.min())} to {int(pixels.max())}"
            )
        return pixels

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact log mass of the integers x (B, *shape)."""
        pixels = self._pixels(x)
        table = self.logits.log_softmax(1).expand(len(pixels), -1, -1)  # (B, D, levels)
        return table.gather(2, pixels[..., None]).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, *shape) integers as stored: every pixel drawn from its own table."""
        pixels = self.logits.softmax(1).multinomial(n, replacement=True)  # (D, n)
        dtype = torch.uint8 if self.levels <= 256 else torch.int64
        return pixels.T.reshape(n, *self.shape).to(dtype)
