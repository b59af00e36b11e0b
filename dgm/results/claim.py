"""One claim: what was measured, what it must be, and whether it holds."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RELATIONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "is": operator.is_,
}
SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "is": ""}
Number = bool | int | float


@dataclass(frozen=True)
class Claim:
    """One row: ``measured`` holds every number or truth value that must stand in ``relation``."""

    id: str
    sentence: str
    measured: tuple[Number, ...]
    relation: str
    required: Number

    @property
    def failing(self) -> tuple[Number, ...]:
        """The measured values that do not fulfil the relation; NaN fulfils none."""
        fulfils = RELATIONS[self.relation]
        kept = (v == v and fulfils(v, self.required) for v in self.measured)
        return tuple(v for v, fine in zip(self.measured, kept, strict=True) if not fine)

    @property
    def holds(self) -> bool:
        """Whether every measured value fulfils the relation."""
        return not self.failing

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as text: sentence, measured (a range of several), required, verdict."""
        required = f"{SIGNS[self.relation]} {_compact(self.required)}".strip()
        return self.sentence, _spread(self.measured), required, "holds" if self.holds else "FAILS"


def measured_values(thing: object, name: str) -> Iterable[Number]:
    """Every number or truth value in a number, tensor or sequence; anything else is refused."""
    if thing is None or isinstance(thing, str | bytes | Mapping):
        raise ValueError(
            f"{name} must be a number, truth value, tensor or sequence of them, got {thing!r}"
        )
    if hasattr(thing, "tolist"):  # a tensor, an array, a NumPy scalar
        thing = thing.tolist()
    if isinstance(thing, bool | int | float):
        yield thing
    elif isinstance(thing, Iterable):
        for part in thing:
            yield from measured_values(part, name)
    elif hasattr(thing, "__float__"):  # an Estimate
        yield float(thing)
    else:
        raise ValueError(f"{name} must be numbers or truth values, got {type(thing).__name__}")


def check_kinds(id: str, values: tuple, relation: str, required: Number) -> None:
    """Numbers are compared with numbers, truth values with truth values: True is not 1."""
    truths = {isinstance(value, bool) for value in (*values, required)}
    if relation == "is" and truths != {True}:
        raise ValueError(f"{id!r}: 'is' compares truth values; use == or an inequality")
    if len(truths) == 2 or (truths == {True} and relation not in ("is", "==")):
        raise ValueError(f"{id!r}: cannot hold truth values and numbers against each other")


def _compact(value: Number) -> str:
    """A number in three or four digits, scientific where small; a truth value as a word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or not math.isfinite(value) or value == 0:
        text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    elif abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return text.replace("-", "\u2212")  # a minus, which no line breaks at


def _spread(values: tuple[Number, ...]) -> str:
    """One value, or the range of several; a value that is not a number is never hidden."""
    if any(value != value for value in values):
        return "nan" if len(values) == 1 else f"nan among {len(values)} values"
    if all(isinstance(value, bool) for value in values) and len(set(values)) == 2:
        return f"true in {sum(values)} of {len(values)}"
    ends = [_compact(min(values)), _compact(max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
