"""The one container every data set comes in, and how a known law fills it.

Examples are kept as stored: integers for images and sequences, floats for tables and 2-D toys.
Scaling and dequantising happen inside the models, so all likelihoods are of the same thing.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Training, validation and test examples of one set, as stored.

    Parameters
    ----------
    name : str
    train, val, test : Tensor
        (N, ...): images uint8 (N, C, H, W) in 0 .. levels-1, tables float32 (N, D),
        sequences int64 (N, T).
    shape : tuple of int
        Of one example.
    levels : int or None
        Number of values an entry can take; None for real values.
    source : str
        Where the numbers come from, and whether they are only part of the set.
    train_y, val_y, test_y : Tensor or None
        (N,) int64 labels, or (N, F) integer factors.
    law : object or None
        The exactly known law, with `log_prob(x) -> (B,)`, `sample(n, generator=None)` and
        `entropy()`.
    """

    name: str
    train: Tensor
    val: Tensor
    test: Tensor
    shape: tuple[int, ...]
    levels: int | None
    source: str
    train_y: Tensor | None = None
    val_y: Tensor | None = None
    test_y: Tensor | None = None
    law: Any = None

    @property
    def dims(self) -> int:
        """Entries in one example, the D of bits per dimension."""
        return math.prod(self.shape)

    @property
    def entropy(self) -> float | None:
        """Nats per example, exact, where the law is known: no model's test nats go below it."""
        return None if self.law is None else self.law.entropy()

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.val)} val, {len(self.test)} test"
        kind = "real values" if self.levels is None else f"{self.levels} levels"
        return f"<Dataset {self.name}: {sizes}, shape {self.shape}, {kind}; {self.source}>"


def split(x: Tensor, y: Tensor | None, sizes: tuple[int, int, int]) -> dict[str, Tensor]:
    """Cut x and y, in order, into the six fields train, val, test, train_y, val_y, test_y."""
    if len(x) != sum(sizes):
        raise ValueError(f"sizes must add up to the {len(x)} examples, got {sizes}")
    parts = dict(zip(("train", "val", "test"), x.split(sizes), strict=True))
    if y is not None:
        parts |= dict(zip(("train_y", "val_y", "test_y"), y.split(sizes), strict=True))
    return parts


def from_law(name: str, law: Any, n: int, seed: int, levels: int | None = None) -> Dataset:
    """Draw n training, n // 2 validation and n // 2 test examples from a known law.

    Parameters
    ----------
    law : object
        With `draw(n, generator) -> (x, y)`, y possibly None, besides what `Dataset.law` offers.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2.
    """
    at_least("n", n, 2)
    generator = torch.Generator().manual_seed(seed)
    sizes = (n, n // 2, n // 2)
    x, y = law.draw(sum(sizes), generator)
    source = f"drawn from {type(law).__name__} with seed {seed}"
    parts = split(x, y, sizes)
    return Dataset(
        name=name, shape=tuple(x.shape[1:]), levels=levels, source=source, law=law, **parts
    )


def at_least(name: str, value: int, smallest: int) -> None:
    """Raise a ValueError unless value is an integer that is large enough."""
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise ValueError(f"{name} must be an integer of at least {smallest}, got {value!r}")


def positive(name: str, value: float) -> None:
    """Raise a ValueError unless value is a finite number above zero."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
