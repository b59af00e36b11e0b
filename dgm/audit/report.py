"""The result of an audit: what was decided, and one line per check, as text and as HTML."""

from __future__ import annotations

import html
import math
import textwrap
from dataclasses import dataclass
from typing import NamedTuple

PASS, FAIL, NOT_APPLICABLE = "pass", "FAIL", "n/a"
_BADGE = {PASS: "#1a6b33", FAIL: "#a3161f", NOT_APPLICABLE: "#57606a"}  # white text: over 5:1


# the lines that decide what a model claims: one of these groups, all its lines passed
DECIDES = {
    "density": (
        ("sums or integrates to one",),
        ("samples follow the density",),
        ("no leak from the future", "log_prob = sum of conditionals"),
        ("log_prob = reference",),
    ),
    "bound": (
        ("bounds <= exact",),
        ("exp(elbo) sums to one",),
        ("exp(elbo) averages to the bin mass",),
        ("noise fills its bin", "uniform scores log2(levels) bits"),
        ("posterior draws follow log q", "elbo = log p(x, z) - log q"),
    ),
    "samples": (
        ("samples follow the density",),
        ("samples follow the conditionals",),
        ("samples follow the bin masses",),
        ("samples = prior, then x|z",),
        ("samples obey Stein's identity",),
        ("samples obey the Gibbs identity",),
    ),
    "causality": (("no leak from the future",),),
    "log-determinant": (("log_det = autograd",),),
    "gradients": (("every parameter gets a gradient",),),
}
CLAIMS = ("density", "bound", "log-determinant", "causality")  # what `passed` asks to be decided


class Finding(NamedTuple):
    """What a check measured, what it allows, and a word for the reader."""

    measured: float
    tolerance: float
    note: str


class LeftOut(NamedTuple):
    """Why a check has nothing to say about this model."""

    why: str


@dataclass(frozen=True)
class Check:
    """One line of the passport. A check passes when `measured <= tolerance`."""

    name: str
    measured: float | None
    tolerance: float | None
    verdict: str
    note: str

    @classmethod
    def judge(cls, name: str, found: Finding | LeftOut) -> Check:
        """Pass or fail by size; what is not a number, or infinite, fails."""
        if isinstance(found, LeftOut):
            return cls(name, None, None, NOT_APPLICABLE, found.why)
        measured, tolerance = float(found.measured), float(found.tolerance)
        verdict = PASS if measured <= tolerance and measured != math.inf else FAIL
        return cls(name, measured, tolerance, verdict, found.note)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The line as text: check, measured, allowed, verdict, note."""
        return self.name, _number(self.measured), _number(self.tolerance), self.verdict, self.note


@dataclass(frozen=True)
class Report:
    """All checks of one audit. Prints as a table below a line that says what was decided."""

    title: str
    checks: tuple[Check, ...]
    claims: tuple[str, ...] = ()  # what the model's methods claim, names of DECIDES

    HEADER = ("check", "measured", "allowed", "verdict", "note")

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(c for c in self.checks if c.verdict == FAIL)

    @property
    def decided(self) -> tuple[str, ...]:
        """What the lines that passed decide: density, bound, samples, gradients ..., or nothing."""
        verdicts = {c.name: c.verdict for c in self.checks}
        return tuple(
            what
            for what, groups in DECIDES.items()
            if any(all(verdicts.get(name) == PASS for name in group) for group in groups)
        )

    @property
    def undecided(self) -> tuple[str, ...]:
        """What the model claims and no line could decide."""
        return tuple(what for what in self.claims if what not in self.decided)

    @property
    def passed(self) -> bool:
        """True when no check failed and all that the model claims was decided, something at least.

        A model whose density no check could decide has not passed.
        """
        needed = [what for what in self.undecided if what in CLAIMS]
        return not self.failures and not needed and bool(self.decided)

    @property
    def headline(self) -> str:
        """What was decided, in one line."""
        if self.failures:
            return f"WRONG: {', '.join(c.name for c in self.failures)}"
        line = f"decided: {', '.join(self.decided) or 'nothing'}"
        return line + (f"; not decided: {', '.join(self.undecided)}" if self.undecided else "")

    @property
    def summary(self) -> str:
        """The headline, and how many checks passed, failed, did not apply."""
        n = {v: sum(c.verdict == v for c in self.checks) for v in _BADGE}
        counts = f"{n[PASS]} passed, {n[FAIL]} failed, {n[NOT_APPLICABLE]} do not apply"
        return f"{self.headline}. {counts}"

    @property
    def left_out(self) -> dict[str, list[str]]:
        """Why checks do not apply: reason to names."""
        reasons: dict[str, list[str]] = {}
        for check in self.checks:
            if check.verdict == NOT_APPLICABLE:
                reasons.setdefault(check.note, []).append(check.name)
        return reasons

    def assert_passed(self) -> Report:
        """Return the report, or raise an `AssertionError` that says what failed or was not decided.

        Where no check can decide what the model claims, that is no pass either.
        """
        if not self.passed:
            lines = (f"  {c.name}: {c.cells[1]} > {c.cells[2]}  {c.note}" for c in self.failures)
            raise AssertionError("\n".join((f"{self.title}: {self.summary}", *lines)))
        return self

    def __getitem__(self, name: str) -> Check:
        """The check of this name."""
        found = [c for c in self.checks if c.name == name]
        if not found:
            names = ", ".join(c.name for c in self.checks)
            raise KeyError(f"no check {name!r}; there are: {names}")
        return found[0]

    def __str__(self) -> str:
        rows = [self.HEADER, *(c.cells for c in self.checks if c.verdict != NOT_APPLICABLE)]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        head, *body = (_text_row(row, widths) for row in rows)
        title = textwrap.wrap(f"{self.title}: {self.summary}", 110)
        lines = [*title, head, "-" * 100, *body]
        if self.left_out:
            reasons = (f"{', '.join(names)}: {why}" for why, names in self.left_out.items())
            lines += ["do not apply", *(_wrapped(r, "  ", 98) for r in reasons)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="text-align:left">{h}</th>' for h in self.HEADER)
        caption = html.escape(f"{self.title}: {self.summary}")
        body = "".join(_html_row(c) for c in self.checks if c.verdict != NOT_APPLICABLE)
        return (
            '<table style="border-collapse:collapse"><caption style="text-align:left;'
            f'color:inherit">{caption}</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>{self._left_out_as_html()}"
        )

    def _left_out_as_html(self) -> str:
        """What does not apply, and why: folded, as it is often the longer part."""
        reasons = (
            f"<li>{html.escape(', '.join(names))}: {html.escape(why)}</li>"
            for why, names in self.left_out.items()
        )
        listed = "".join(reasons)
        summary = "<summary>What does not apply, and why</summary>"
        return f"<details>{summary}<ul>{listed}</ul></details>" if listed else ""


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2g}" if math.isfinite(value) else str(value)


def _text_row(row: tuple[str, ...], widths: list[int]) -> str:
    start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + "  "
    return start.rstrip() if not row[4] else start + _wrapped(row[4], " " * len(start), 40).lstrip()


def _wrapped(text: str, indent: str, width: int) -> str:
    """Lines of at most `width` letters, each indented."""
    return textwrap.indent("\n".join(textwrap.wrap(text, width)), indent)


def _html_row(check: Check) -> str:
    name, measured, allowed, verdict, note = (html.escape(cell) for cell in check.cells)
    badge = f"background:{_BADGE[check.verdict]};color:#fff;padding:0 .5em;border-radius:.6em"
    number = 'style="text-align:right;font-variant-numeric:tabular-nums"'
    return (
        f'<tr><th scope="row" style="text-align:left;font-weight:normal">{name}</th>'
        f"<td {number}>{measured}</td><td {number}>{allowed}</td>"
        f'<td><span style="{badge}">{verdict}</span></td>'
        f'<td style="text-align:left">{note}</td></tr>'
    )
