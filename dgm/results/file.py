"""What one figure of the ledger is: its fields, the checks it must pass, and its file on disk.

``results/<scale>/<chapter>.json`` holds ``{"chapter", "scale", "hardware", "figures", "claims"}``,
each figure with exactly the ``FIELDS`` below, sorted by checklist row, model and name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

KINDS = ("exact", "bound", "estimate", "identity")
TIMINGS = ("s", "ms", "us", "1/s", "ratio")  # may differ between machines: tolerance not required
UNITS = (
    *("nats", "nats/dim", "bits", "bits/dim", "bits/symbol", "fraction", "percent", "count"),
    *("digits", "bytes", "pixels", "dB", "1", *TIMINGS),
)
FIELDS = (
    *("row", "model", "name", "value", "error", "unit", "kind", "k"),
    *("published", "rerun", "source", "tolerance"),
)
CLAIM_FIELDS = ("id", "sentence", "relation", "required")
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
    # what it is called
    row, name, unit, kind = (figure[key] for key in ("row", "name", "unit", "kind"))
    if not (isinstance(row, str) and re.fullmatch(r"[ADEFGNORV][1-9]\d?", row)):
        raise ValueError(f"row must be a checklist id such as 'N3' or 'F15', got {row!r}")
    for key in ("name", "model"):
        word = figure[key]
        if word is None and key == "model":
            continue
        if not (isinstance(word, str) and re.fullmatch(r"[a-z0-9_]+", word)):
            raise ValueError(f"{key} must be lower-case words joined by _, got {word!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    # its size, and how far it may move
    truth, tolerance = isinstance(figure["value"], bool), figure["tolerance"]
    if truth and (unit is not None or tolerance is not None):
        raise ValueError(f"unit and tolerance must be None for the truth value {name!r}")
    if not truth and unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not truth and tolerance is None and unit not in TIMINGS:
        raise ValueError(f"tolerance of {name!r} is missing; only timings may go without")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance!r}")
    _check_company(figure)


def _check_company(figure: dict) -> None:
    """Check what stands beside the figure: draws of a bound, figures of others and their source."""
    name, k, source = figure["name"], figure["k"], figure["source"]
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise ValueError(f"k must be a number of draws, at least 1, or None, got {k!r}")
    if k is not None and figure["kind"] != "bound":
        raise ValueError(f"k of {name!r} is for importance-weighted bounds, not {figure['kind']}s")
    if source is not None and not isinstance(source, str):
        raise ValueError(f"source must be words or an address, got {source!r}")
    for field in ("published", "rerun"):
        if figure[field] is not None and not source:
            raise ValueError(f"source must say where the {field} value of {name!r} stands")


def order(figure: dict) -> tuple[str, int, str, str]:
    """Order figures by checklist row (F2 before F15), then model, then name."""
    row = figure["row"]
    return row[0], int(row[1:]), figure["model"] or "", figure["name"]


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no figure")


def read_ledger(path: Path) -> dict:
    """Return the ledger in a file, fields that an older one lacks as None.

    Raises
    ------
    ValueError
        It is no ledger, or a figure breaks the format (NaN, say); the file is named.
    """
    try:
        # json reads NaN and Infinity unless told; NaN would agree with every later run
        ledger = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        figures = [dict.fromkeys(FIELDS) | figure for figure in ledger["figures"]]
        for figure in figures:
            check(figure)
            for field in ("value", "error", "published", "rerun", "tolerance"):
                if figure[field] is not None or field == "value":
                    plain(figure[field], field)
        ledger["figures"] = sorted(figures, key=order)
        ledger.setdefault("claims", [])
    except (ValueError, KeyError, TypeError, IndexError) as reason:
        raise ValueError(f"{path} is not a ledger of figures: {reason}") from reason
    return ledger


def write_ledger(path: Path, ledger: dict) -> None:
    """Replace ``path`` at once: a reader sees the old file or the new one.

    Equal ledgers give equal files: fields, figures and claims stand in one order.
    """
    figures = [{key: f[key] for key in FIELDS} for f in sorted(ledger["figures"], key=order)]
    claims = [{key: claim[key] for key in CLAIM_FIELDS} for claim in ledger.get("claims", [])]
    head = {key: ledger[key] for key in ("chapter", "scale", "hardware")}
    whole = head | {"figures": figures, "claims": claims}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".part", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(part, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(part, path)
    except OSError as reason:
        raise OSError(reason.errno, f"{path} could not be written: {reason.strerror}") from reason
    finally:
        Path(part).unlink(missing_ok=True)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of the file's folder, so that of two runs each adds to what the other wrote.

    Where there is no such lock (Windows, some network drives), each write still replaces the
    whole file at once.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)  # given up with the process, however it ends
        yield
    finally:
        os.close(folder)
