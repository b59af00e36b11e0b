"""The model under audit: its batch, its samples, and evaluation in chunks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor, nn

MAX_STATES = 70_000  # the largest discrete world that is enumerated
N_SAMPLES = 8192
N_FIT = 1024  # of these choose a grid, kernels or moments; the others are counted
T = TypeVar("T")


class DoesNotApply(Exception):  # noqa: N818 (not an error: the reason a check is left out)
    """Raised by a check that has nothing to say about this model; the text says why."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under its own seed and leave torch's random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@dataclass
class Subject:
    """A private float64 copy of a model in eval mode, with the batch it is checked on."""

    model: nn.Module
    x: Tensor  # (B, ...) data as stored
    y: Tensor | None = None
    levels: int | None = None
    bounds: tuple[Tensor, Tensor] | None = None
    seed: int = 0
    reference: Callable[[Tensor], Tensor] | None = None
    _known: dict[Callable, object] = field(default_factory=dict)

    def once(self, measure: Callable[[Subject], T]) -> T:
        """`measure(self)`, computed by the first check that asks for it."""
        if measure not in self._known:
            with seeded(self.seed + 2000):
                self._known[measure] = measure(self)
        return self._known[measure]

    def needs(self, *names: str) -> None:
        """Raise `DoesNotApply` unless the model offers all these methods."""
        missing = [n for n in names if not self.offers(n)]
        if missing:
            raise DoesNotApply(f"the model has no {' and no '.join(missing)}")

    def offers(self, name: str) -> bool:
        """Whether the model has this method; `nn.Module`'s empty forward does not count."""
        if name == "forward" and type(self.model).forward is nn.Module.forward:
            return False
        return callable(getattr(self.model, name, None))

    @property
    def discrete(self) -> bool:
        """Whether the data are integers."""
        return not self.x.is_floating_point()

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return next((p.dtype for p in self.model.parameters()), torch.float64)

    @property
    def shape(self) -> torch.Size:
        """Shape of one example."""
        return self.x.shape[1:]

    @property
    def dims(self) -> int:
        """Numbers in one example."""
        return math.prod(self.shape)

    @property
    def invertible(self) -> bool:
        """Whether the model is a flow: forward and inverse on real values."""
        return self.offers("forward") and self.offers("inverse") and not self.discrete

    def call(self, name: str, x: Tensor, *args: object, y: Tensor | None = None) -> Tensor:
        """`model.name(x, *args)`, under the condition `y` (default: the batch's own) if any."""
        y = self.y if y is None else y
        method = getattr(self.model, name)
        if y is None or "y" not in inspect.signature(method).parameters:
            return method(x, *args)
        return method(x, *args, y=y[: len(x)])

    @torch.no_grad()
    def evaluate(self, name: str, x: Tensor, *args: object, chunk: int = 8192) -> Tensor:
        """A method with values (B,) over many rows, in chunks, under the first condition."""
        parts = (self.call(name, part, *args, y=self.first_y(len(part))) for part in x.split(chunk))
        return torch.cat([p.detach() for p in parts])

    def first_y(self, n: int) -> Tensor | None:
        """The first condition `n` times, or None."""
        return None if self.y is None else self.y[:1].expand(n, *self.y.shape[1:])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """`n` samples under the first condition."""
        method = self.model.sample
        if self.y is None or "y" not in inspect.signature(method).parameters:
            return method(n)
        return method(n, y=self.first_y(n))

    @cached_property
    def samples(self) -> Tensor:
        """A fixed set of samples shared by the checks, N_SAMPLES or half of that where D > 2."""
        with seeded(self.seed + 1000):
            return self.sample(N_SAMPLES if self.discrete or self.dims <= 2 else N_SAMPLES // 2)

    @cached_property
    def states(self) -> Tensor:
        """Every state of a small discrete world, (levels**D, ...)."""
        if self.levels is None:
            raise DoesNotApply("the number of levels is not known: pass levels=")
        if self.dims * math.log(self.levels) > math.log(MAX_STATES):
            raise DoesNotApply(
                f"{self.levels}**{self.dims} states are too many to enumerate: audit a small one"
            )
        values = torch.arange(self.levels, dtype=self.x.dtype)
        grid = torch.cartesian_prod(*[values] * self.dims)
        return grid.reshape(-1, *self.shape)

    def draws(self, name: str, x: Tensor, *args: object, repeats: int) -> Tensor:
        """Values of a noisy method on the batch x, drawn again and again, (repeats, B)."""
        y = None if self.y is None else self.y[: len(x)]
        rows = max(1, 8192 // (len(x) * max((1, *args))))  # repeats that go into one call
        parts = []
        for n in [rows] * (repeats // rows) + [repeats % rows] * (repeats % rows > 0):
            many = x.repeat(n, *[1] * (x.dim() - 1))
            with torch.no_grad():
                again = None if y is None else y.repeat(n, *[1] * (y.dim() - 1))
                parts.append(self.call(name, many, *args, y=again).view(n, len(x)))
        return torch.cat(parts)

    def mean_and_error(self, name: str, x: Tensor, *args: object, repeats: int) -> Tensor:
        """Mean of `repeats` draws of a noisy method, and its standard error, (2, B)."""
        draws = self.draws(name, x, *args, repeats=repeats)
        return torch.stack((draws.mean(0), draws.std(0) / math.sqrt(repeats)))
