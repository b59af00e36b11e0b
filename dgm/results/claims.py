"""What a chapter claims, as a table: the sentence, what was measured, what it must be, the verdict.

A sentence of the text that rests on a claim ends in a link to its row, ``[✓](#claim-ID)``.
"""

from __future__ import annotations

import re
from html import escape

from dgm.results.claim import RELATIONS, Claim, Number, check_kinds, measured_values
from dgm.results.ledger import Ledger
from dgm.results.table import markdown_row

COLUMNS = ("sentence", "measured", "required", "holds")


class ClaimFailed(AssertionError):  # noqa: N818, as FigureMoved
    """What a chapter measured does not bear out what it says."""


class Claims:
    """The claims of one chapter, added one by one, shown and enforced by ``show``.

    Parameters
    ----------
    ledger
        The chapter's ledger: its file also says what the chapter claims.

    Examples
    --------
    >>> from dgm import results
    >>> claims = results.Claims(results.Ledger("13_coupling_flows"))
    >>> claims.add("inverse", "The inverse undoes the map.", 3e-7, "<", 1e-4)
    >>> claims.add("gain", "Each step gains a nat.", [1.2, 3.4, 2.0], ">", 1)
    >>> print(claims)
    | sentence | measured | required | holds |
    | --- | --- | --- | --- |
    | The inverse undoes the map. | 3.0e−7 | < 1.0e−4 | holds |
    | Each step gains a nat. | 1.2 to 3.4 | > 1 | holds |
    """

    def __init__(self, ledger: Ledger):
        if not isinstance(ledger, Ledger):
            raise ValueError(f"ledger must be the chapter's results.Ledger, got {ledger!r}")
        self.ledger = ledger
        self.rows: list[Claim] = []

    def add(
        self, id: str, sentence: str, measured: object, relation: str, required: Number
    ) -> None:  # (the word of the interface; no built-in is needed here)
        """Add one claim; nothing is raised here when it does not hold.

        Parameters
        ----------
        id
            Lower-case words joined by hyphens; the text links to ``#claim-ID``.
        sentence
            What the text says, in one sentence.
        measured
            A number, truth value, tensor, or a sequence of them: every element must hold.
        relation, required
            ``< <= > >= ==`` and a number, or ``is`` (also ``==``) and a truth value.

        Raises
        ------
        ValueError
            The id is taken or malformed, the sentence empty, nothing was measured, or what was
            measured cannot stand in that relation.
        """
        # the words
        if not isinstance(id, str) or not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", id):
            raise ValueError(f"id must be lower-case words joined by hyphens, got {id!r}")
        if id in {row.id for row in self.rows}:
            raise ValueError(f"id {id!r} is taken: {self[id].sentence}")
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError(f"sentence of {id!r} must say what is claimed, got {sentence!r}")
        if relation not in RELATIONS:
            raise ValueError(f"relation must be one of {' '.join(RELATIONS)}, got {relation!r}")
        # the values
        values = tuple(measured_values(measured, f"measured of {id!r}"))
        if not values:
            raise ValueError(f"measured of {id!r} is empty: a claim about nothing always holds")
        bars = tuple(measured_values(required, f"required of {id!r}"))
        if len(bars) != 1 or bars[0] != bars[0]:
            raise ValueError(f"required of {id!r} must be one number or truth value")
        check_kinds(id, values, relation, bars[0])
        self.rows.append(Claim(id, " ".join(sentence.split()), values, relation, bars[0]))

    def show(self) -> None:
        """Display the table, write what is claimed into the ledger, and raise if a claim fails.

        Raises
        ------
        ClaimFailed
            Names every row that does not hold, with what was measured.
        ValueError
            No claim was added.
        """
        if not self.rows:
            raise ValueError("claims: none was added; a chapter without claims shows no table")
        _display(self)
        failed = [row for row in self.rows if not row.holds]
        if failed:
            lines = (f"  {r.id}: {r.sentence} {r.failing[0]!r}, not {r.cells[2]}" for r in failed)
            raise ClaimFailed("\n".join((f"{len(failed)} of {len(self)} claims fail", *lines)))
        self.ledger.file_claims([
            {"id": r.id, "sentence": r.sentence, "relation": r.relation, "required": r.required}
            for r in self.rows
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, id: str) -> Claim:
        """The claim of this id."""
        return {row.id: row for row in self.rows}[id]

    @property
    def summary(self) -> str:
        """How many claims there are, and how many hold."""
        held = sum(row.holds for row in self.rows)
        return f"{held} of {len(self)} claims hold"

    def __str__(self) -> str:
        rule = "| " + " | ".join(["---"] * len(COLUMNS)) + " |"
        rows = (markdown_row(row.cells) for row in self.rows)
        return "\n".join([markdown_row(COLUMNS).replace("\\", ""), rule, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        style = 'style="text-align:left;color:inherit"'
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in COLUMNS)
        return (
            f'<table class="dgm-claims"><caption {style}>{self.summary}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(map(_claim_row, self.rows))}</tbody>"
            "</table>"
        )


def _claim_row(claim: Claim) -> str:
    """One row of the page, which a link of the text leads to."""
    sentence, measured, required, verdict = map(escape, claim.cells)
    left, number = 'style="text-align:left;font-weight:normal"', 'style="white-space:nowrap"'
    ink = "#1a6b33" if claim.holds else "#a3161f"  # white text on it: over 5:1
    badge = f'style="background:{ink};color:#fff;padding:0 .5em;border-radius:.6em"'
    return (
        f'<tr id="claim-{claim.id}"><th scope="row" {left}>{sentence}</th>'
        f"<td {number}>{measured}</td><td {number}>{required}</td>"
        f"<td><span {badge}>{verdict}</span></td></tr>"
    )


def _display(table: Claims) -> None:
    """Show a table: as HTML where a notebook runs, as text elsewhere."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(table)
        return
    display(table) if get_ipython() is not None else print(table)
