"""Sprites with known factors: white squares, ellipses and hearts on black, drawn by formula.

The grid, the order and the sizes are those of dSprites (Matthey et al., 2017,
https://github.com/deepmind/dsprites-dataset); `dsprites` in images.py reads the true file.
"""

import math

import torch
from torch import Tensor

from dgm.data.dataset import Dataset, check_at_least, split_parts

FACTORS = ("shape", "scale", "orientation", "x", "y")
DSPRITES = (3, 6, 40, 32, 32)  # values of each factor: 737,280 images


class SpriteGrid:
    """Every combination of the five factors, as an indexable, lazily drawn array of images.

    Image number i has the factors of i written in mixed radix, y changing fastest: dSprites' order.

    Parameters
    ----------
    counts : tuple of 5 int
        Values of shape (at most 3), scale, orientation, x and y.
    size : int
        Pixels along a side. The drawing is made for 64 and sampled at pixel centres.
    closed : bool
        Whether the last orientation is the full turn, the same picture as the first, as in
        dSprites; otherwise orientations are count equal parts of a turn, and an odd count
        makes them all look different.
    """

    def __init__(self, counts: tuple[int, ...] = DSPRITES, size: int = 64, closed: bool = True):
        if (
            len(counts) != 5
            or any(not isinstance(k, int) or k < 1 for k in counts)
            or counts[0] > 3
        ):
            raise ValueError(
                f"counts must be five positive integers, at most 3 first, got {counts!r}"
            )
        check_at_least("size", size, 8)
        self.counts, self.size, self.closed = tuple(counts), size, closed

    def __len__(self) -> int:
        return math.prod(self.counts)

    def factors(self, index: Tensor) -> Tensor:
        """Image numbers (N,) -> factor numbers (N, 5) int64."""
        if index.numel() and not 0 <= index.min() <= index.max() < len(self):
            raise ValueError(
                f"index must be in 0 .. {len(self) - 1}, got {index.min()} .. {index.max()}"
            )
        return torch.stack(torch.unravel_index(index, self.counts), 1)

    def index(self, factors: Tensor) -> Tensor:
        """Factor numbers (N, 5) -> image numbers (N,) int64."""
        self._check_factors(factors)
        radix = [math.prod(self.counts[i + 1 :]) for i in range(5)]
        return (factors * torch.tensor(radix)).sum(1)

    def _check_factors(self, factors: Tensor) -> None:
        counts = torch.tensor(self.counts)
        if factors.ndim != 2 or factors.shape[1] != 5 or factors.is_floating_point():
            raise ValueError(
                f"factors must be integers (N, 5), got {factors.dtype} {tuple(factors.shape)}"
            )
        if (factors < 0).any() or (factors >= counts).any():
            raise ValueError(f"factors must be below {self.counts} and not negative")

    def values(self, factors: Tensor) -> Tensor:
        """Factor numbers (N, 5) -> float64: shape 0-2, scale 0.5-1, radians, x and y 0-1."""
        self._check_factors(factors)
        _, n_scale, n_turn, n_x, n_y = (max(k - 1, 1) for k in self.counts)
        if not self.closed:
            n_turn = self.counts[2]
        steps = (1.0, 0.5 / n_scale, 2 * math.pi / n_turn, 1 / n_x, 1 / n_y)
        first = (0.0, 0.5, 0.0, 0.0, 0.0)
        steps, first = torch.tensor((steps, first), dtype=torch.float64)
        return factors * steps + first

    def draw(self, factors: Tensor) -> Tensor:
        """Factor numbers (N, 5) -> images (N, 1, size, size) uint8, 0 or 1."""
        values = self.values(factors).float()
        images = torch.empty(len(values), 1, self.size, self.size, dtype=torch.uint8)
        for rows in torch.arange(len(values)).split(512):
            images[rows, 0] = self._draw(values[rows]).to(torch.uint8)
        return images

    def _draw(self, values: Tensor) -> Tensor:
        shape, scale, angle, x, y = (v[:, None, None] for v in values.unbind(1))
        middle = (torch.arange(self.size) + 0.5) * (64 / self.size)
        right = middle[None, None, :] - (16 + 32 * x)  # (B, 1, S) pixels of 64
        down = middle[None, :, None] - (16 + 32 * y)  # (B, S, 1)
        c, s = angle.cos() / scale, angle.sin() / scale
        u, v = c * right + s * down, c * down - s * right  # (B, S, S), in the sprite's own frame
        square = torch.maximum(u.abs(), v.abs()) <= 9.3
        ellipse = (u / 13) ** 2 + (v / 7) ** 2 <= 1
        a2, b = (u / 8.5) ** 2, -v / 7.3
        heart = (a2 + b**2 - 1) ** 3 <= a2 * b**3
        return torch.where(shape == 0, square, torch.where(shape == 1, ellipse, heart))

    def __getitem__(self, index: int | Tensor) -> Tensor:
        """One image (1, size, size) by its number, or many (N, 1, size, size) by theirs (N,)."""
        if isinstance(index, int):
            return self.draw(self.factors(torch.tensor([index])))[0]
        return self.draw(self.factors(index))


def sprites(
    n: int | None = None,
    size: int = 32,
    counts: tuple[int, ...] = (3, 4, 9, 8, 8),
    closed: bool = False,
    seed: int = 0,
) -> Dataset:
    """Sprites, binary (1, size, size), labels (N, 5) the numbers of shape, scale, turn, x and y.

    The whole grid of `counts` in a random order: four fifths train, a tenth each for validation
    and test; or `n` training images and n // 8 each, different ones. The exact dSprites grid is
    `counts=(3, 6, 40, 32, 32), size=64, closed=True` with an n that fits into memory (4 kB an
    image), or lazily `sprites.SpriteGrid()`.
    """
    grid = SpriteGrid(counts, size, closed)
    picks, sizes = choose_examples(len(grid), n, seed)
    y = grid.factors(picks)
    closed_text = "full turn included" if closed else "equal parts of a turn"
    return Dataset(
        name="sprites",
        shape=(1, size, size),
        levels=2,
        source=f"drawn by formula: {sum(sizes)} of a grid of {len(grid)} {counts}, {closed_text}",
        **split_parts(grid.draw(y), y, sizes),
    )


def choose_examples(total: int, n: int | None, seed: int) -> tuple[Tensor, tuple[int, int, int]]:
    """Different numbers below total in random order, and the sizes of train, val and test."""
    if n is None:
        n = total - 2 * (total // 10)
        sizes = (n, total // 10, total // 10)
    else:
        check_at_least("n", n, 8)
        sizes = (n, n // 8, n // 8)
    if sum(sizes) > total:
        raise ValueError(f"n = {n} needs {sum(sizes)} examples, there are only {total}")
    check_at_least("seed", seed, 0)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[: sum(sizes)], sizes
