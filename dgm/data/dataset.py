"""The one container every data set comes in, and how a known law fills it.

Examples are kept as stored: integers for images and sequences, floats for tables and 2-D toys.
Scaling and dequantising happen inside the models, so all likelihoods are of the same thing.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dgm.distribution.support import Levels, Reals


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Training, validation and test examples of one set, as stored.

    Parameters
    ----------
    name : str
    train, val, test : Tensor
        ``train`` and ``val`` are empty where a set is for testing only.
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
    vocabulary : str or None
        For text: the character that each token id stands for.
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
    vocabulary: str | None = None

    @property
    def kind(self) -> Levels | Reals:
        """What a model of this data is built with: `Levels` of integers, `Reals` of floats."""
        return Reals(self.shape) if self.levels is None else Levels(self.shape, self.levels)

    @property
    def dims(self) -> int:
        """Entries in one example, the D of bits per dimension."""
        return math.prod(self.shape)

    @property
    def entropy(self) -> float | None:
        """Nats per example, exact, where the law is known: no model's test nats go below it."""
        return None if self.law is None else self.law.entropy()

    def decode(self, tokens: Tensor) -> str:
        """Text of one sequence (T,) of token ids.

        Raises
        ------
        ValueError
            If the set is not text, or tokens is not one sequence.
        """
        if self.vocabulary is None:
            raise ValueError(f"decode needs a text data set, {self.name!r} has no vocabulary")
        if tokens.ndim != 1:
            raise ValueError(f"tokens must be one sequence (T,), got shape {tuple(tokens.shape)}")
        return "".join(self.vocabulary[token] for token in tokens.tolist())

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.val)} val, {len(self.test)} test"
        kind = "real values" if self.levels is None else f"{self.levels} levels"
        return f"<Dataset {self.name}: {sizes}, shape {self.shape}, {kind}; {self.source}>"


def split_parts(x: Tensor, y: Tensor | None, sizes: tuple[int, int, int]) -> dict[str, Tensor]:
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
        If n is not an integer of at least 2, or seed not one of at least 0.
    """
    check_at_least("n", n, 2)
    check_at_least("seed", seed, 0)
    generator = torch.Generator().manual_seed(seed)
    sizes = (n, n // 2, n // 2)
    x, y = law.draw(sum(sizes), generator)
    source = f"drawn from {type(law).__name__} with seed {seed}"
    parts = split_parts(x, y, sizes)
    return Dataset(
        name=name, shape=tuple(x.shape[1:]), levels=levels, source=source, law=law, **parts
    )


def check_at_least(name: str, value: int, smallest: int) -> None:
    """Raise a ValueError unless value is an integer that is large enough."""
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise ValueError(f"{name} must be an integer of at least {smallest}, got {value!r}")


def check_positive(name: str, value: float) -> None:
    """Raise a ValueError unless value is a finite number above zero."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
