"""The ledger: every measured figure the book shows, one JSON file per chapter and scale.

A chapter records its figures as it runs. The first run writes them; every later run is held
against them and fails when one moved. ``DGM_RESULTS=update`` accepts what this run finds.
``make notebooks`` sets it, and lets the chapter write into a folder of its own (``DGM_RESULTS_IN``)
that takes the ledger's place when the chapter has come to its end: so a figure that it no longer
records disappears, and a run that fails or is stopped leaves the ledger as it was. Without a
checkout around (on Colab) ``record`` only prints.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from dgm import runtime
from dgm.results.file import FIELDS, alone, check, order, plain, read_ledger, write_ledger


class FigureMoved(AssertionError):  # noqa: N818, a moved figure is a failed check
    """A chapter measured a figure further from the recorded one than its tolerance."""


def root() -> Path | None:
    """Return the checkout around the working folder, or around this file; None where none is."""
    here = Path(__file__).resolve()
    for start in (Path.cwd().resolve(), here.parent):
        for folder in (start, *start.parents):
            if (folder / "_toc.yml").is_file() and (folder / "results").is_dir():
                return folder
    return None


def hardware() -> str:
    """Return in words what this process computes on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores, {platform.machine()}"


class Ledger:
    """The figures of one chapter at the scale of this run.

    ``exact``, ``bound``, ``estimate``, ``identity`` and ``timing`` record a figure in one short
    line each, and show nothing at the end of a cell; ``record`` is what they call.

    Parameters
    ----------
    chapter
        The notebook's stem, ``"13_coupling_flows"``.

    Raises
    ------
    ValueError
        The name is not a stem, or DGM_RESULTS is neither unset nor ``update``.

    Examples
    --------
    In a chapter::

        ledger = results.Ledger("13_coupling_flows")
        ledger.bound("N4", "glow", "digits_test_nats", score, "nats", tolerance=0.3)
    """

    def __init__(self, chapter: str):
        if not re.fullmatch(r"[a-z0-9_]+", str(chapter)):
            raise ValueError(f"chapter must be a notebook's stem, got {chapter!r}")
        mode = os.environ.get("DGM_RESULTS", "")
        if mode not in ("", "update"):
            raise ValueError(f"DGM_RESULTS is {mode!r}; allowed: update, or unset")
        self.chapter, self.scale, self.update = chapter, runtime.scale(), mode == "update"
        top = root()
        folder = os.environ.get("DGM_RESULTS_IN") if self.update else None
        folder = Path(folder) if folder else top and top / "results"
        self.path = folder and folder / self.scale / f"{chapter}.json"

    def exact(self, row, model, name, value, unit, tolerance, **beside) -> None:
        """Record a likelihood or a number known without error but rounding."""
        self._short("exact", row, model, name, value, unit, tolerance, **beside)

    def bound(self, row, model, name, value, unit, tolerance, **beside) -> None:
        """Record a bound, never too good; ``k=`` draws where it is importance-weighted."""
        self._short("bound", row, model, name, value, unit, tolerance, **beside)

    def estimate(self, row, model, name, value, unit, tolerance, **beside) -> None:
        """Record a figure that has sampling error."""
        self._short("estimate", row, model, name, value, unit, tolerance, **beside)

    def identity(self, row, model, name, value, unit=None, tolerance=None, **beside) -> None:
        """Record that an equality of mathematics holds, or by how much it misses."""
        self._short("identity", row, model, name, value, unit, tolerance, **beside)

    def timing(self, row, model, name, value, unit="s", **beside) -> None:
        """Record a time, a rate or a ratio of times, written once and never compared."""
        self._short("estimate", row, model, name, value, unit, None, **beside)

    def _short(self, kind, row, model, name, value, unit, tolerance, **beside) -> None:
        figure = dict(row=row, model=model, name=name, value=value, unit=unit, kind=kind)
        self.record(**figure, tolerance=tolerance, **beside)

    def record(
        self,
        *,
        row: str,
        name: str,
        value: object,
        kind: str,
        unit: str | None = None,
        model: str | None = None,
        tolerance: float | None = None,
        published: float | None = None,
        rerun: float | None = None,
        source: str | None = None,
        k: int | None = None,
    ) -> object:
        """Write a figure, or hold it against the one on file; return ``value`` as it came.

        The ``standard_error`` of an `evaluate.Estimate` is written beside it, and not compared.

        Parameters
        ----------
        row, model, name
            The checklist row and two names that tell the figure from others; model may be None.
        unit
            None for a truth value only.
        tolerance
            In the same unit; None for truth values, which must stay equal, and for timings,
            which are not compared.
        published, rerun, source
            What a paper reports; what re-running other people's code gave; where both stand.
        k
            Draws of an importance-weighted bound.

        Raises
        ------
        FigureMoved
            The value is further than ``tolerance`` from the one on file, which stays.
        ValueError
            A field breaks the format; nothing is written.
        """
        error = getattr(value, "standard_error", None)
        error = error if error is None else float(f"{error:.3g}")
        fields = (row, model, name, value, error, unit, kind, k, published, rerun, source)
        figure = dict(zip(FIELDS, (*fields, tolerance), strict=True))
        for field in ("value", "error", "published", "rerun", "tolerance"):
            if figure[field] is not None or field == "value":
                figure[field] = plain(figure[field], field)
        check(figure)
        if self.path is None:
            print(f"{row} {model or ''} {name} = {figure['value']} {unit or ''}".replace("  ", " "))
        else:
            self._file(figure)
        return value

    def file_claims(self, claims: list[dict]) -> None:
        """Write what the chapter claims beside its figures; ``Claims.show`` calls it."""
        if self.path is None:
            return
        with alone(self.path):
            ledger = self._on_file()
            if ledger["claims"] != claims:
                ledger["claims"] = claims
                write_ledger(self.path, ledger)

    def _on_file(self) -> dict:
        if self.path.exists():
            return read_ledger(self.path)
        ledger = {"chapter": self.chapter, "scale": self.scale, "hardware": hardware()}
        return ledger | {"figures": [], "claims": []}

    def _file(self, figure: dict) -> None:
        with alone(self.path):
            ledger = self._on_file()
            figures = {order(old): old for old in ledger["figures"]}
            old = figures.get(order(figure))
            if old is not None and not self.update:
                self._compare(old, figure)
                kept = {key: old[key] for key in ("value", "error") if old[key] is not None}
                figure = figure | kept  # within tolerance: the file stays
            if figure != old:
                figures[order(figure)] = figure
                if self.update:
                    ledger["hardware"] = hardware()
                ledger["figures"] = list(figures.values())
                write_ledger(self.path, ledger)

    def _compare(self, old: dict, new: dict) -> None:
        before, now, tolerance = old["value"], new["value"], new["tolerance"]
        if isinstance(before, bool) or isinstance(now, bool):
            moved = before is not now
        else:
            moved = tolerance is not None and not abs(now - before) <= tolerance
        if moved:
            who = " ".join(str(new[key]) for key in ("row", "model", "name") if new[key])
            raise FigureMoved(
                f"{self.chapter}: {who} was {before}, is now {now} (tolerance {tolerance}). "
                f"If the new value is right, run the chapter with DGM_RESULTS=update "
                f"(make notebooks does) and commit {self.path.name}."
            )
