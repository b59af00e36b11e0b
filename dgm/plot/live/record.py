"""A function of tensors as data: the operations PyTorch runs, written down while it runs them.

So a page can evaluate any model of the book without knowing what it is (tensor.js), and the tape
can be replayed here with rounded constants to see what the rounding costs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Ref:
    """The k-th value of a program."""

    k: int


def _mapped(change: Callable, value: object) -> object:
    """``value`` with ``change`` applied inside its lists and tuples."""
    if isinstance(value, list | tuple):
        return [_mapped(change, part) for part in value]
    return change(value)


class _Tape(TorchDispatchMode):
    """Writes down every operation: (operation, arguments, places of its results)."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.values, self.at, self.steps, self.constants = [x], {id(x): 0}, [], {}

    def _new(self, value: object) -> Ref:
        """The next place, for a value that is kept alive: its id names it."""
        self.values.append(value)
        self.at[id(value)] = len(self.values) - 1
        return Ref(len(self.values) - 1)

    def _place(self, value: object) -> object:
        """Where a tensor stands; one never seen is a constant. Anything else is itself."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self.at:
            ref = self._new(value)
            self.constants[ref.k] = value.detach().clone()
        return Ref(self.at[id(value)])

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation, and write it down unless its results are constants."""
        kwargs = kwargs or {}
        schema = func._schema.arguments
        given = [*args, *(kwargs.get(a.name, a.default_value) for a in schema[len(args) :])]
        placed = _mapped(self._place, given)
        out = func(*args, **kwargs)
        drawn = torch.Tag.nondeterministic_seeded in func.tags
        fresh = not any(isinstance(v, Tensor) for a in given for v in _flat(a))
        if drawn or fresh:  # noise and new tensors are the same at every run
            for value in filter(lambda v: isinstance(v, Tensor), _flat(out)):
                ref = self._new(value)
                self.constants[ref.k] = value.detach().clone()
            return out
        self.steps.append((func, placed, _mapped(self._new, out)))
        return out


def _flat(value: object) -> list:
    return (
        [v for part in value for v in _flat(part)] if isinstance(value, list | tuple) else [value]
    )


@dataclass
class Program:
    """Operations that turn one tensor, value 0, into another, value ``out``.

    ``steps`` are (operation, arguments, results), values written as `Ref`; ``constants`` holds the
    tensors that neither depend on the input nor are computed.
    """

    steps: list[tuple]
    constants: dict[int, Tensor]
    out: int

    def __call__(self, x: Tensor, constants: dict[int, Tensor] | None = None) -> Tensor:
        """Replay on x, with other ``constants`` if given."""
        values = {0: x, **(constants or self.constants)}
        fetch = lambda v: values[v.k] if isinstance(v, Ref) else v  # noqa: E731
        for func, arguments, results in self.steps:
            schema = func._schema.arguments
            n = sum(not a.kwarg_only for a in schema)
            given = [_mapped(fetch, a) for a in arguments]
            if schema[0].alias_info is not None and schema[0].alias_info.is_write:
                given[0] = given[0].clone()  # in place: constants stay as they are
            named = {a.name: v for a, v in zip(schema[n:], given[n:], strict=True)}
            out = func(*given[:n], **named)
            for ref, value in zip(_flat(results), _flat(out), strict=True):
                values[ref.k] = value
        return values[self.out]


@torch.no_grad()
def record(function: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0) -> Program:
    """The program of ``function`` at inputs of the shape of x; noise it draws becomes constant.

    Branches are taken as for this x: try the program on other inputs before trusting it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with _Tape(x) as tape:
            out = function(x)
    needed, steps = {tape.at[id(out)]}, []
    for func, arguments, results in reversed(tape.steps):  # keep what leads to the output
        if needed & {ref.k for ref in _flat(results) if isinstance(ref, Ref)}:
            needed |= {v.k for v in _flat(arguments) if isinstance(v, Ref)}
            steps.insert(0, (func, arguments, results))
    constants = {k: v for k, v in tape.constants.items() if k in needed}
    return Program(steps, constants, tape.at[id(out)])
