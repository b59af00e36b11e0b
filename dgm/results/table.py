"""Recorded figures read back, and shown as tables: Markdown in print, HTML on a page."""

from __future__ import annotations

import re
from html import escape

from dgm import runtime
from dgm.results.file import FIELDS, read_ledger
from dgm.results.ledger import root


def load(scale: str = "laptop") -> list[dict]:
    """Return all figures of a scale, each with its chapter, scale and hardware, in chapter order.

    Empty outside a checkout.

    Raises
    ------
    ValueError
        The scale is unknown, or a file is not a ledger.
    """
    if scale not in runtime.SCALES:
        raise ValueError(f"scale must be one of {', '.join(runtime.SCALES)}, got {scale!r}")
    top, figures = root(), []
    for path in sorted((top / "results" / scale).glob("*.json")) if top else []:
        ledger = read_ledger(path)
        about = {key: ledger.get(key) for key in ("chapter", "scale", "hardware")}
        figures += [about | figure for figure in ledger["figures"]]
    return figures


def markdown_row(cells: list[str] | tuple[str, ...]) -> str:
    """One line of a Markdown table, in which every cell reads as it was written."""
    special = r"([\\|*`\[$]|<(?=[A-Za-z/!?]))"  # "< 3" opens no tag
    flat = (re.sub(special, r"\\\1", " ".join(cell.split())) for cell in cells)
    return "| " + " | ".join(flat) + " |"


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
        if column in ("value", "published", "rerun"):
            number = f"{entry:,}" if isinstance(entry, int) else f"{entry:.6g}"
            return f"{number} {figure['unit'] or ''}".strip()
        return str(entry)

    def __str__(self) -> str:
        rule = "| " + " | ".join(["---"] * len(self.columns)) + " |"
        return "\n".join([markdown_row(self.columns), rule, *map(markdown_row, self.cells)])

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
    rows: str | tuple[str, ...] | None = None,
    chapter: str | None = None,
    name: str | None = None,
    model: str | None = None,
    scale: str = "laptop",
    columns: tuple[str, ...] = ("row", "model", "name", "value", "kind", "published", "source"),
) -> Table:
    """Return the recorded figures that match every filter given, as a ``Table``.

    Parameters
    ----------
    rows
        Checklist rows: ``"N15"``, ``"N4 N15"`` or ``("N4", "N15")``.

    Raises
    ------
    ValueError
        A column is neither a field of the format nor chapter, scale or hardware.
    """
    known = (*FIELDS, "chapter", "scale", "hardware")
    if not set(columns) <= set(known):
        raise ValueError(f"columns must be among {', '.join(known)}, got {columns}")
    asked = {"chapter": chapter, "name": name, "model": model}
    wanted = rows.split() if isinstance(rows, str) else rows  # "N15" holds no row N1
    figures = [
        figure
        for figure in load(scale)
        if (wanted is None or figure["row"] in wanted)
        and all(wish is None or figure[field] == wish for field, wish in asked.items())
    ]
    return Table(figures, columns)
