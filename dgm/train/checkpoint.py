"""Files that survive a kill at any moment: written whole or not at all, refused when damaged.

A checkpoint is a safetensors file whose header says what it is and holds a digest of everything
else in it. It is written beside its place, flushed to the disk and then moved there in one step.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = "dgm checkpoint 1"


class BadCheckpoint(ValueError):  # noqa: N818, reads as what it is
    """A checkpoint that cannot be used; the message names the file and says why."""


def _digest(tensors: dict[str, Tensor], about: str) -> str:
    """Return a hash over names, types, shapes, every byte of the tensors, and the description."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Write tensors and a JSON description to ``path``; an older file there stays until the end."""
    copies = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
    text = json.dumps(about)
    header = {"format": FORMAT, "about": text, "digest": _digest(copies, text)}
    part = path.with_name(path.name + ".part")
    try:
        save_file(copies, part, metadata=header)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as reason:  # a full or read-only disk
        part.unlink(missing_ok=True)
        raise OSError(f"checkpoint {path} cannot be written: {reason}") from reason


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Return what ``save`` wrote.

    Raises
    ------
    BadCheckpoint
        The file is not a safetensors file, is cut short or altered, or was not written by ``save``.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as reason:
        raise BadCheckpoint(
            f"{path} cannot be read (damaged, or no checkpoint): {reason}"
        ) from None
    if header.get("format") != FORMAT:
        raise BadCheckpoint(f"{path} is not a checkpoint of train.fit: no '{FORMAT}' in its header")
    about = header.get("about", "")
    if header.get("digest") != _digest(tensors, about):
        raise BadCheckpoint(f"{path} is damaged: its content does not match its digest")
    return tensors, json.loads(about)


def require_same(path: Path, stored: dict, asked: dict, what: str) -> None:
    """Raise BadCheckpoint, naming up to three entries, where two descriptions differ."""
    differ = [key for key in sorted({*stored, *asked}) if stored.get(key) != asked.get(key)]
    if differ:
        pairs = (f"{key}: {stored.get(key)} there, {asked.get(key)} here" for key in differ[:3])
        raise BadCheckpoint(
            f"{path} belongs to another {what} ({'; '.join(pairs)}). "
            "Give another checkpoint name, or delete the file to start again."
        )


def fingerprint(tensors: tuple[Tensor, ...]) -> list:
    """Return shape, type and byte sum of each tensor: equal data, equal fingerprint."""
    return [
        [list(t.shape), str(t.dtype), int(t.contiguous().view(torch.uint8).sum(dtype=torch.int64))]
        for t in tensors
    ]
