"""Trained weights on disk: safetensors in half precision, the recipe's fingerprint in the header.

The stored model *is* the rounded one: every figure of the book is measured on it.
"""

import hashlib
import os
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "weights"


def weights_path(name: str, data_name: str) -> Path:
    """Where the weights of one system trained on one data set lie."""
    return FOLDER / f"{name}-{data_name}.safetensors"


def checksum(tensors: dict[str, Tensor]) -> str:
    """16 hex digits over names, shapes and bytes of the tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save_weights(model: nn.Module, file: Path, **header: object) -> None:
    """Write the state of ``model`` to ``file``, whole or not at all, with ``header`` as text."""
    tensors = {
        name: value.detach().cpu().half().contiguous()
        if value.dtype == torch.float32
        else value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
    }
    header = {k: str(v) for k, v in header.items()} | {"checksum": checksum(tensors)}
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        save_file(tensors, draft, metadata=header)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of ``file``.

    Raises
    ------
    ValueError
        If there is no such file, or it is not whole: its bytes must match the checksum it carries.
    """
    if not file.is_file():
        raise ValueError(f"no trained weights at {file}: make them with `make train`")
    sys.audit("dgm.zoo.weights", str(file))  # lets `make notebooks` see what a chapter rests on
    try:
        with safe_open(file, framework="pt") as store:
            header = store.metadata() or {}
            tensors = {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"weights {file} are corrupted: {error}") from error
    if header.get("checksum") != checksum(tensors):
        raise ValueError(f"weights {file} are corrupted: their bytes do not match their checksum")
    return tensors, header


def load_weights(model: nn.Module, file: Path, fingerprint: str) -> dict[str, str]:
    """Load ``file`` into ``model`` and return its header.

    Raises
    ------
    ValueError
        If the weights are corrupted, belong to another model, or are older than their recipe.
    """
    tensors, header = read_weights(file)
    if header.get("recipe") != fingerprint:
        raise ValueError(
            f"weights {file} are stale: made by recipe {header.get('recipe')}, the recipe is now "
            f"{fingerprint}; retrain with `make train`"
        )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"weights {file} do not fit the model: {error}") from error
    return header
