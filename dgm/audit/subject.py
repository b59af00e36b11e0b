"""The model under audit: its batch, its samples, evaluation in chunks, and what it may cost."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from dgm.audit.cost import Cost, cost_of
from dgm.audit.report import LeftOut

if TYPE_CHECKING:
    from dgm.audit.facts import Facts

MAX_STATES = 70_000  # the largest discrete world that is enumerated
N_SAMPLES = 8192
N_FIT = 1024  # of these choose a grid, kernels or moments; the others are counted
SAMPLE_SECONDS = 3.0
SECONDS = 2.0  # what a check may spend on a method, in prices of cost.py
T = TypeVar("T")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under its own seed and leave torch's random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def working_in(dtype: torch.dtype) -> Iterator[None]:
    """Make this what torch computes in by default: a model's own zeros and noise are of it too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@dataclass
class Subject:
    """A private copy of a model in eval mode, the batch it is checked on, and what is known."""

    model: nn.Module
    x: Tensor  # (B, ...) data as stored
    y: Tensor | None = None
    bounds: tuple[Tensor, Tensor] | None = None
    seed: int = 0
    reference: Callable[[Tensor], Tensor] | None = None
    share: float = 1.0  # of the time a check may spend: less for the parts of a model
    facts: Facts | None = None  # see facts.py
    _known: dict[Callable, object] = field(default_factory=dict)
    _costs: dict[tuple, Cost | None] = field(default_factory=dict)

    # --- what is known ----------------------------------------------------------------------------

    def once(self, measure: Callable[[Subject], T]) -> T:
        """`measure(self)`, computed by the first check that asks for it."""
        if measure not in self._known:
            with seeded(self.seed + 2000):
                self._known[measure] = measure(self)
        return self._known[measure]

    def offers(self, name: str) -> bool:
        """Whether the method can be called on a batch and answers as its name says."""
        return name in self.facts.methods

    def lacks(self, *names: str) -> LeftOut | None:
        """Why a check that needs these methods does not apply, or None."""
        missing = [n for n in names if not self.offers(n)]
        if not missing:
            return None
        amiss = [n for n in missing if n in self.facts.faults]
        if amiss:
            return LeftOut(f"{', '.join(amiss)}: see the first line")
        return LeftOut(f"the model has no {' and no '.join(missing)}")

    @property
    def discrete(self) -> bool:
        """Whether the data are whole numbers."""
        return self.facts.discrete

    @property
    def levels(self) -> int | None:
        """How many values an entry can take, None for reals."""
        return self.facts.levels

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return torch.get_default_dtype()

    @property
    def tight(self) -> float:
        """What rounding may do to a relative difference."""
        return 1e-6 if self.dtype == torch.float64 else 2e-3

    @property
    def shape(self) -> torch.Size:
        """Shape of one example."""
        return self.x.shape[1:]

    @property
    def dims(self) -> int:
        """Numbers in one example."""
        return math.prod(self.shape)

    # --- asking the model -------------------------------------------------------------------------

    def call(self, name: str, x: Tensor, *args: object, y: Tensor | None = None) -> Tensor:
        """`model.name(x, *args)`, under the condition `y` (default: the batch's own) if any."""
        y = self.y if y is None else y
        method = getattr(self.model, name)
        x = x.to(self.facts.feeds.get(name, x.dtype))
        if y is None or "y" not in inspect.signature(method).parameters:
            return method(x, *args)
        return method(x, *args, y=y[: len(x)])

    @torch.no_grad()
    def evaluate(self, name: str, x: Tensor, *args: object, chunk: int = 8192) -> Tensor:
        """A method with values (B,) over many rows, in chunks, under the first condition."""
        chunk = max(1, min(chunk, 20_000_000 // self.dims))
        parts = (self.call(name, part, *args, y=self.first_y(len(part))) for part in x.split(chunk))
        return torch.cat([p.detach() for p in parts])

    def flow(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log_det (B,) of a flow, whose log_det may be one number for all."""
        z, log_det = self.call("forward", x, y=y)
        return z, log_det.expand(len(x)) if log_det.dim() == 0 else log_det

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """x of a flow, whose inverse may give a log-determinant beside it."""
        x = self.call("inverse", z, y=y)
        return x[0] if isinstance(x, tuple) else x

    def first_y(self, n: int) -> Tensor | None:
        """The first condition `n` times, or None."""
        return None if self.y is None else self.y[:1].expand(n, *self.y.shape[1:])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """`n` samples under the first condition; whole numbers come as such."""
        method = self.model.sample
        known = self.y is not None and "y" in inspect.signature(method).parameters
        x = method(n, y=self.first_y(n)) if known else method(n)
        return x.to(self.x.dtype) if self.discrete else x

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

    # --- what it costs ----------------------------------------------------------------------------

    def rows(self, name: str, want: int, seconds: float = SECONDS, *args: object) -> int:
        """How many rows of a method fit into this time, `want` at most."""
        key = (name, *args)
        if key not in self._costs:
            with torch.no_grad(), seeded(self.seed):
                x = self.x[:2]
                if name == "inverse":
                    x = self.flow(x)[0]
                ask = self.sample if name == "sample" else partial(self.call, name)
                given = (2,) if name == "sample" else (x, *args)
                rows = 2 if name == "sample" else len(x)
                self._costs[key] = cost_of(lambda: ask(*given), rows, SAMPLE_SECONDS)
        cost = self._costs[key]
        return 0 if cost is None else min(want, cost.rows(self.share * seconds))

    @cached_property
    def samples(self) -> Tensor:
        """A fixed set of samples shared by the checks, fewer of a costly model, none of a slow one.

        At most N_SAMPLES, or half of that for reals where D > 2.
        """
        want = N_SAMPLES if self.discrete or self.dims <= 2 else N_SAMPLES // 2
        n = self.rows("sample", want, SAMPLE_SECONDS)
        with seeded(self.seed + 1000):
            return self.sample(n) if n else self.x[:0]

    def too_few(self, n: int, least: int, what: str) -> LeftOut | None:
        """Why a check that needs this many rows is left out, or None."""
        if n >= least:
            return None
        return LeftOut(f"{what} takes too long: {n} in the time, {least} needed")

    @cached_property
    def enumerable(self) -> bool:
        """Whether the data are whole numbers with few enough states to list all."""
        return self.discrete and self.dims * math.log(self.levels) <= math.log(MAX_STATES)

    @cached_property
    def states(self) -> Tensor:
        """Every state of a small discrete world, (levels**D, ...)."""
        grid = torch.cartesian_prod(*[torch.arange(self.levels, dtype=self.x.dtype)] * self.dims)
        return grid.reshape(-1, *self.shape)

    def not_enumerable(self) -> LeftOut | None:
        """Why the states of this world are not summed over, or None."""
        if not self.discrete:
            return LeftOut("the data are real numbers: no states to sum over")
        if not self.enumerable:
            return LeftOut(
                f"{self.levels}**{self.dims} states are too many to enumerate: audit a small one"
            )
        return None
