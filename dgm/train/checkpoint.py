"""Files that survive a kill at any moment: written whole or not at all, refused when damaged.

A checkpoint is a safetensors file whose header says what it is and holds a digest of everything
else in it. It is written beside its place, flushed to the disk and then moved there in one step.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import types
from collections.abc import Callable
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
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")  # ours alone
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


def fingerprint(tensors: tuple[Tensor, ...]) -> list[str]:
    """Return shape, type and a digest of each tensor: rows in another order are other data."""
    found = []
    for t in tensors:
        content = t.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest = hashlib.sha256(content).hexdigest()[:16]
        found.append(f"{t.dtype} {tuple(t.shape)} {digest}")
    return found


def described(value: object) -> str:
    """Return a setting as text that differs where it does: a number, a class, a function, a batch.

    Of a function it is the code that counts and the values it closes over, so two lambdas differ;
    of an object that can be called, its class and its attributes.
    """
    if isinstance(value, Tensor):
        return fingerprint((value,))[0]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        extra = (value.__defaults__, value.__kwdefaults__, cells)
        return f"{value.__qualname__} {_code_digest(value.__code__)} {described(extra)}"
    if isinstance(value, functools.partial):
        return f"partial {described((value.func, value.args, value.keywords))}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k}: {described(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(described, value))})"
    if isinstance(value, Callable) and not isinstance(value, type) and hasattr(value, "__dict__"):
        return f"{type(value).__qualname__} {described(vars(value))}"
    return getattr(value, "__qualname__", repr(value))


def _code_digest(code: types.CodeType) -> str:
    inner = [_code_digest(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    parts = (code.co_code.hex(), *code.co_names, *inner)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
