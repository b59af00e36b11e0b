"""The ledger: every measured figure the book shows, one JSON file per chapter and scale.

A chapter records its figures as it runs. The first run writes them; every later run is held
against them and fails when one moved. ``DGM_RESULTS=update`` accepts what this run finds: the
first ``record`` then begins the chapter's file anew, so a figure that the chapter no longer
records disappears. Without a checkout around (on Colab) ``record`` only prints.
"""

from __future__ import annotations

import os
import platform
import re
from html import escape
from pathlib import Path

import torch

from dgm import runtime
from dgm.results.file import FIELDS, check, order, plain, read, write


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

    Parameters
    ----------
    chapter
        The notebook's stem, ``"13_coupling_flows"``.

    Raises
    ------
    ValueError
        The name is not a stem, or DGM_RESULTS is neither unset nor ``update``.
    """

    def __init__(self, chapter: str):
        if not re.fullmatch(r"[a-z0-9_]+", str(chapter)):
            raise ValueError(f"chapter must be a notebook's stem, got {chapter!r}")
        mode = os.environ.get("DGM_RESULTS", "")
        if mode not in ("", "update"):
            raise ValueError(f"DGM_RESULTS is {mode!r}; allowed: update, or unset")
        self.chapter, self.scale, self.update = chapter, runtime.scale(), mode == "update"
        self.begun = False
        top = root()
        self.path = top and top / "results" / self.scale / f"{chapter}.json"

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
        source: str | None = None,
    ) -> object:
        """Write a figure, or hold it against the one on file; return ``value`` as it came.

        ``unit`` is None for a truth value only; ``tolerance`` (same unit) is None for truth
        values, which must stay equal, and for timings, which are not compared.

        Raises
        ------
        FigureMoved
            The value is further than ``tolerance`` from the one on file, which stays.
        ValueError
            A field breaks the format.
        """
        fields = (row, model, name, value, unit, kind, published, source, tolerance)
        figure = dict(zip(FIELDS, fields, strict=True))
        for field in ("value", "published", "tolerance"):
            if figure[field] is not None or field == "value":
                figure[field] = plain(figure[field], field)
        check(figure)
        if self.path is None:
            print(f"{row} {model or ''} {name} = {figure['value']} {unit or ''}".replace("  ", " "))
        else:
            self._file(figure)
        return value

    def _file(self, figure: dict) -> None:
        ledger = {"chapter": self.chapter, "scale": self.scale, "hardware": hardware()}
        ledger["figures"] = []
        if self.path.exists() and (self.begun or not self.update):
            ledger = read(self.path)
        figures = {order(old): old for old in ledger["figures"]}
        old = figures.get(order(figure))
        if old is not None and not self.update:
            self._compare(old, figure)
            figure = figure | {"value": old["value"]}  # within tolerance: the file stays as it is
        self.begun = True
        if figure != old:
            figures[order(figure)] = figure
            ledger["figures"] = [figures[key] for key in sorted(figures)]
            write(self.path, ledger)

    def _compare(self, old: dict, new: dict) -> None:
        before, now, tolerance = old["value"], new["value"], new["tolerance"]
        if isinstance(before, bool) or isinstance(now, bool):
            moved = before is not now
        else:
            moved = tolerance is not None and abs(now - before) > tolerance
        if moved:
            who = " ".join(str(new[key]) for key in ("row", "model", "name") if new[key])
            raise FigureMoved(
                f"{self.chapter}: {who} was {before}, is now {now} (tolerance {tolerance}). "
                f"If the new value is right, run the chapter with DGM_RESULTS=update "
                f"(make notebooks does) and commit {self.path.name}."
            )


def load(scale: str = "laptop") -> list[dict]:
    """Return all figures of a scale, each with its chapter, scale and hardware, in chapter order.

    Empty outside a checkout.
    """
    if scale not in runtime.SCALES:
        raise ValueError(f"scale must be one of {', '.join(runtime.SCALES)}, got {scale!r}")
    top, figures = root(), []
    for path in sorted((top / "results" / scale).glob("*.json")) if top else []:
        ledger = read(path)
        about = {key: ledger.get(key) for key in ("chapter", "scale", "hardware")}
        figures += [about | figure for figure in sorted(ledger["figures"], key=order)]
    return figures


class Table:
    """Figures as a table: Markdown when printed, HTML in a notebook and in the book.

    Numbers of one row and unit stand as recorded; an absent entry is a dash.
    """

    def __init__(self, figures: list[dict], columns: tuple[str, ...]):
        self.columns = columns
        self.cells = [[self._cell(figure, column) for column in columns] for figure in figures]

    @staticmethod
    def _cell(figure: dict, column: str) -> str:
        entry = figure[column]
        if entry is None or entry == "":
            return "–"
        if isinstance(entry, bool):
            return "holds" if entry else "fails"
        if column in ("value", "published"):
            number = f"{entry:,}" if isinstance(entry, int) else f"{entry:.6g}"
            return f"{number} {figure['unit'] or ''}".strip()
        return str(entry)

    def __str__(self) -> str:
        rows = [[cell.replace("|", "\\|") for cell in cells] for cells in self.cells]
        lines = [list(self.columns), ["---"] * len(self.columns), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        cells = [
            [escape(cell).replace(" ± ", "&nbsp;±&nbsp;") for cell in row] for row in self.cells
        ]
        rows = ["".join(f"<td>{cell}</td>" for cell in row) for row in cells]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(
    *,
    rows: tuple[str, ...] | None = None,
    chapter: str | None = None,
    name: str | None = None,
    model: str | None = None,
    scale: str = "laptop",
    columns: tuple[str, ...] = ("row", "model", "name", "value", "kind", "published", "source"),
) -> Table:
    """Return the recorded figures that match every filter given, as a ``Table``.

    Raises
    ------
    ValueError
        A column is neither a field of the format nor chapter, scale or hardware.
    """
    known = (*FIELDS, "chapter", "scale", "hardware")
    if not set(columns) <= set(known):
        raise ValueError(f"columns must be among {', '.join(known)}, got {columns}")
    asked = {"chapter": chapter, "name": name, "model": model}
    figures = [
        figure
        for figure in load(scale)
        if (rows is None or figure["row"] in rows)
        and all(wish is None or figure[field] == wish for field, wish in asked.items())
    ]
    return Table(figures, columns)
