"""Your own data as a `Dataset`: an array, a folder of pictures, or a table of numbers.

Examples are shuffled once by ``seed`` and cut into parts for training, validation and test; what is
already in your order (by time, by writer) is better cut by you: ``Dataset(train=..., ...)``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgm.data.dataset import Dataset, check_at_least, split_parts

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def from_array(
    x: Any,
    y: Any = None,
    *,
    levels: int | None = None,
    held_out: float = 0.1,
    seed: int = 0,
    name: str = "array",
    source: str = "your own array",
) -> Dataset:
    """Return a data set of the rows of ``x``.

    Parameters
    ----------
    x : array or tensor
        Integers: pictures (N, H, W), (N, H, W, 1 or 3) or (N, C, H, W), or sequences (N, T).
        Floats: points or tables (N, D).
    y : array or tensor, optional
        (N,) integer labels.
    levels : int, optional
        Values 0 .. levels-1 an integer can take; 256 for bytes, else the largest one plus 1.
    held_out : float
        Share of the examples to validate on, and again to test on.
    seed : int
        Of the shuffle.

    Raises
    ------
    ValueError
        Too few rows, values out of range or not finite, labels of another length.
    """
    # what came
    x = torch.as_tensor(np.asarray(x) if not isinstance(x, Tensor) else x)
    if not 0 < held_out < 0.5:
        raise ValueError(f"held_out must be a share between 0 and 0.5, got {held_out}")
    n_out = round(held_out * len(x)) if x.ndim else 0
    if x.ndim < 2 or n_out < 1 or len(x) - 2 * n_out < 1:
        raise ValueError(f"x must be rows of examples, enough for three parts; got {x.shape}")
    if y is not None:
        y = torch.as_tensor(np.asarray(y) if not isinstance(y, Tensor) else y).long()
        if y.shape != (len(x),):
            raise ValueError(f"y must be one label for each of {len(x)} rows, got {y.shape}")
    # as stored, shuffled, cut
    x, levels = _reals(x) if x.is_floating_point() else _integers(x, levels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    sizes = (len(x) - 2 * n_out, n_out, n_out)
    parts = split_parts(x[order], None if y is None else y[order], sizes)
    shape = tuple(x.shape[1:])
    return Dataset(name=name, shape=shape, levels=levels, source=source, **parts)


def _reals(x: Tensor) -> tuple[Tensor, None]:
    if not x.isfinite().all():
        bad = (~x.flatten(1).isfinite().all(1)).nonzero()[0].item()
        raise ValueError(f"x holds NaN or infinite values, the first in row {bad}")
    return x.float().flatten(1), None


def _integers(x: Tensor, levels: int | None) -> tuple[Tensor, int]:
    """Pictures as (N, C, H, W) uint8 or int64, sequences as (N, T) int64, and the levels."""
    # which values
    if x.dtype == torch.bool:
        x = x.to(torch.uint8)
    low, high = int(x.min()), int(x.max())
    if levels is None:
        levels = 256 if x.dtype == torch.uint8 and high > 1 and x.ndim > 2 else max(2, high + 1)
    if low < 0 or high >= levels:
        raise ValueError(f"x must lie in 0 .. {levels - 1}, got values {low} .. {high}")
    # which axes
    if x.ndim == 2:
        return x.long(), levels
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.movedim(3, 1)
    if x.ndim != 4:
        raise ValueError(f"x must be pictures of 2 or 3 axes or sequences of 1, got {x.shape}")
    return x.to(torch.uint8 if levels <= 256 else torch.int64).contiguous(), levels


def from_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    color: bool = False,
    levels: int = 256,
    held_out: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Return a data set of all pictures below a folder; subfolders, if any, give the labels.

    Parameters
    ----------
    size : (height, width), optional
        To bring every picture to; without it all must have the same size.
    color : bool
        Three channels in place of one grey one.
    levels : int
        2 to 256: how finely a channel is kept.

    Raises
    ------
    ValueError
        No picture is there, one cannot be read, or sizes differ; it names the file.
    """
    from PIL import Image

    # find them
    check_at_least("levels", levels, 2)
    folder = Path(folder).expanduser()
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not files or levels > 256:
        raise ValueError(f"no pictures below {folder} (or levels {levels} > 256): {PICTURES}")
    # read them
    rows = []
    for file in files:
        try:
            with Image.open(file) as picture:
                picture = picture.convert("RGB" if color else "L")
                if size is not None:
                    picture = picture.resize(size[::-1], Image.Resampling.LANCZOS)
                rows.append(np.asarray(picture))
        except OSError as problem:
            raise ValueError(f"{file} is no picture that can be read: {problem}") from problem
        if rows[-1].shape != rows[0].shape:
            raise ValueError(
                f"{file} is {rows[-1].shape[:2]}, {files[0]} {rows[0].shape[:2]}: give size=(H, W)"
            )
    # levels and labels
    x = np.stack(rows) if color else np.stack(rows)[..., None]
    x = (x.astype(np.int64) * levels // 256).astype(np.uint8)
    names = sorted({file.parent for file in files})
    y = [names.index(file.parent) for file in files] if len(names) > 1 else None
    source = f"{len(files)} pictures below {folder.name}"
    return from_array(
        np.moveaxis(x, 3, 1), y, levels=levels, held_out=held_out, seed=seed,
        name=folder.name, source=source,
    )  # fmt: skip


def from_table(
    file: str | Path, *, columns: list[str] | None = None, held_out: float = 0.1, seed: int = 0
) -> Dataset:
    """Return a data set of the rows of a CSV file with a header, real values (N, D).

    ``columns`` chooses among those of the header; all by default. Values stay as they are:
    bring them to a similar scale yourself, or give the model an ActNorm.

    Raises
    ------
    ValueError
        A column is not there, or an entry is no finite number; it names line and column.
    """
    file = Path(file).expanduser()
    # the columns asked for
    with open(file, newline="", encoding="utf-8") as text:
        header, *lines = list(csv.reader(text)) or [[]]
    columns = header if columns is None else columns
    missing = [name for name in columns if name not in header]
    if missing or not columns:
        raise ValueError(f"{file} has no column {missing}; its header: {header}")
    # their entries as numbers
    places, rows = [header.index(name) for name in columns], []
    for number, line in enumerate((row for row in lines if row), start=2):
        for name, place in zip(columns, places, strict=True):
            entry = line[place] if place < len(line) else ""
            try:
                rows.append(float(entry))
            except ValueError:
                raise ValueError(
                    f"{file}, line {number}, column {name!r}: {entry!r} is no number"
                ) from None
    x = torch.tensor(rows, dtype=torch.float32).view(-1, len(columns))
    source = f"{len(x)} rows of {file.name}: {', '.join(columns)}"
    return from_array(x, held_out=held_out, seed=seed, name=file.stem, source=source)
