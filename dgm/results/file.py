"""What one figure of the ledger is: its fields, the checks it must pass, and its file on disk.

``results/<scale>/<chapter>.json`` holds ``{"chapter", "scale", "hardware", "figures": [...]}``,
each figure with exactly the ``FIELDS`` below, sorted by checklist row, model and name.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

KINDS = ("exact", "bound", "estimate", "identity")
TIMINGS = ("s", "ms", "us", "1/s", "ratio")  # may differ between machines: tolerance not required
UNITS = (
    *("nats", "nats/dim", "bits", "bits/dim", "bits/symbol", "fraction", "percent", "count"),
    *("digits", "bytes", "pixels", "dB", "1", *TIMINGS),
)
FIELDS = ("row", "model", "name", "value", "unit", "kind", "published", "source", "tolerance")
Value = bool | int | float


def plain(value: object, name: str) -> Value:
    """Return a number or truth value as Python's own, floats rounded to 6 significant digits."""
    if hasattr(value, "item"):  # a tensor or NumPy scalar
        value = value.item()
    if isinstance(value, bool | int):
        return value
    try:
        number = float("nan") if isinstance(value, str) else float(value)  # an Estimate has float()
    except TypeError:
        number = float("nan")
    if number - number != 0:  # NaN and the infinities
        raise ValueError(f"{name} must be a finite number or a truth value, got {value!r}")
    return float(f"{number:.6g}")


def check(figure: dict) -> None:
    """Raise a ValueError naming the field that breaks the format."""
    row, name, unit, kind = (figure[key] for key in ("row", "name", "unit", "kind"))
    if not (isinstance(row, str) and re.fullmatch(r"[ADEFGNORV][1-9]\d?", row)):
        raise ValueError(f"row must be a checklist id such as 'N3' or 'F15', got {row!r}")
    for key in ("name", "model"):
        word = figure[key]
        if not (word is None and key == "model") and not re.fullmatch(r"[a-z0-9_]+", str(word)):
            raise ValueError(f"{key} must be lower-case words joined by _, got {word!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    truth, tolerance = isinstance(figure["value"], bool), figure["tolerance"]
    if truth and (unit is not None or tolerance is not None):
        raise ValueError(f"unit and tolerance must be None for the truth value {name!r}")
    if not truth and unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not truth and tolerance is None and unit not in TIMINGS:
        raise ValueError(f"tolerance of {name!r} is missing; only timings may go without")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance!r}")
    if figure["published"] is not None and not figure["source"]:
        raise ValueError(f"source must say where the published value of {name!r} stands")


def order(figure: dict) -> tuple[str, int, str, str]:
    """Order figures by checklist row (F2 before F15), then model, then name."""
    row = figure["row"]
    return row[0], int(row[1:]), figure["model"] or "", figure["name"]


def read(path: Path) -> dict:
    """Return the ledger in a file; a ValueError names the file where it is not one."""
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
        sorted(ledger["figures"], key=order)
    except (ValueError, KeyError, TypeError, IndexError) as reason:
        raise ValueError(f"{path} is not a ledger of figures: {reason!r}") from reason
    return ledger


def write(path: Path, ledger: dict) -> None:
    """Replace ``path`` at once: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".json.part")
    text = json.dumps(ledger, indent=1, ensure_ascii=False, allow_nan=False)
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)
