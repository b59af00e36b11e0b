"""What the studies share: which runs are on file, and training those that are not."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dgm import results


def read_runs(file: Path) -> list[dict]:
    """The runs that a study has on file, one dict each; none where there is no file."""
    return json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else []


def train_missing(
    file: Path, cells: Iterable[dict], train: Callable[..., dict], **settings: Any
) -> None:
    """Train the cells that are not on file yet, one after the other, and write after each.

    Parameters
    ----------
    cells : what tells one run from another, ``dict(layers=1, seed=0)``, in the order to train in.
    train : ``train(**cell)`` trains a model and gives its scores, which are kept with the cell.
    settings : what the file says at its head, of all runs.
    """
    runs, head = read_runs(file), settings | {"hardware": results.hardware()}
    for cell in cells:
        if any(cell.items() <= run.items() for run in runs):
            continue
        runs.append(cell | train(**cell))
        print(runs[-1], flush=True)
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        lines.append('"runs": [\n  ' + ",\n  ".join(map(json.dumps, runs)) + "\n]")
        file.write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")
