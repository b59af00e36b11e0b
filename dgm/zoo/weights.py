"""Trained weights on disk: safetensors under xz, and in their header what made them.

Large matrices of parameters are stored in 8 bits a number and one step a row, which costs digits
at most .06 nats and halves the files; everything else in half precision. The stored model *is*
the rounded one: every figure of the book is measured on it. xz takes off another fifth;
``safetensors.torch.load(lzma.open(file).read())`` opens a file without this package.
"""

import hashlib
import json
import lzma
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as tensor_bytes
from torch import Tensor, nn

from dgm.data.download import cache_folder

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors.xz"
SMALL = 1024  # numbers: a smaller tensor gains nothing from fewer bits
STEP = "/step"  # ends the name of the steps of a tensor in 8 bits
MOST_BYTES = 1_500_000  # of a file that comes with the book; larger ones stay in the user's cache


def weights_path(name: str, data_name: str) -> Path:
    """Where the weights of one system trained on one data set lie: in the package or the cache."""
    file = f"{name}-{data_name}{SUFFIX}"
    if (FOLDER / file).is_file():  # the cache folder is asked for only where it is needed
        return FOLDER / file
    cached = cache_folder() / "weights" / file
    return cached if cached.is_file() else FOLDER / file


def checksum(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    """16 hex digits over the header, and names, shapes and bytes of the tensors."""
    said = {key: value for key, value in header.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def in_eight_bits(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Integers -127 .. 127 (R, ...) and a step (R,) for each row; their product is near ``matrix``.

    >>> in_eight_bits(torch.tensor([[1.27, -0.634], [0.0, 0.0]]))[0]
    tensor([[127, -63],
            [  0,   0]], dtype=torch.int8)
    """
    rows = matrix.flatten(1)
    step = (rows.abs().amax(1) / 127).clamp_min(1e-30)
    return (rows / step[:, None]).round().to(torch.int8).view_as(matrix), step


def rounded(model: nn.Module) -> dict[str, Tensor]:
    """The state of ``model`` as it is stored, on the CPU: see the top of this file."""
    learned, stored = dict(model.named_parameters(remove_duplicate=False)), {}
    for name, value in model.state_dict().items():
        kept = value.detach().cpu().contiguous().clone()
        if kept.dtype != torch.float32:
            stored[name] = kept
        elif name in learned and kept.ndim > 1 and kept.numel() >= SMALL:
            stored[name], stored[name + STEP] = in_eight_bits(kept)
        else:
            stored[name] = kept.half()
    return stored


def unpacked(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `rounded` stored as a state that a model can load: 8 bits times their steps."""
    state = {name: value for name, value in stored.items() if not name.endswith(STEP)}
    for name in state:
        if name + STEP in stored:
            step = stored[name + STEP]
            state[name] = (state[name].flatten(1) * step[:, None]).view_as(state[name])
    return state


def write_weights(tensors: dict[str, Tensor], file: Path, **header: object) -> None:
    """Write tensors to ``file``, whole or not at all, with ``header`` as text.

    Raises
    ------
    OSError
        It cannot be written, a full disk say; what was there stays.
    """
    said = {key: str(value) for key, value in header.items() if key != "checksum"}
    said["checksum"] = checksum(tensors, said)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(lzma.compress(tensor_bytes.save(tensors, metadata=said)))
        os.replace(draft, file)
    except OSError as reason:
        raise OSError(f"weights {file} cannot be written: {reason}") from reason
    finally:
        draft.unlink(missing_ok=True)


def save_weights(model: nn.Module, file: Path, **header: object) -> None:
    """`write_weights` of the rounded state of ``model``."""
    write_weights(rounded(model), file, **header)


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors as they are stored (`unpacked` makes a state of them) and header of ``file``.

    Raises
    ------
    ValueError
        If there is no such file, or it is not whole: tensors and header must match the checksum.
    """
    if not file.is_file():
        raise ValueError(f"no trained weights at {file}: make them with `make train`")
    try:
        content = lzma.decompress(file.read_bytes())
        tensors = tensor_bytes.load(content)
        end = 8 + int.from_bytes(content[:8], "little")  # the header is JSON after its length
        header = json.loads(content[8:end]).get("__metadata__", {})
    except (SafetensorError, lzma.LZMAError, OSError) as error:
        raise ValueError(f"weights {file} are corrupted: {error}") from error
    if header.get("checksum") != checksum(tensors, header):
        raise ValueError(f"weights {file} are corrupted: they do not match their checksum")
    return tensors, header


def load_weights(model: nn.Module, file: Path, recipe: str) -> dict[str, str]:
    """Load ``file`` into ``model`` and return its header.

    Raises
    ------
    ValueError
        If the weights are corrupted, belong to another model, or to another recipe than that of
        this hash (fingerprint.py).
    """
    tensors, header = read_weights(file)
    if header.get("recipe") != recipe:
        raise ValueError(
            f"weights {file} are stale: made by recipe {header.get('recipe')}, the recipe is now "
            f"{recipe}; retrain with `python -m dgm.zoo.train {header.get('system')}`"
        )
    try:
        model.load_state_dict(unpacked(tensors))
    except RuntimeError as error:
        raise ValueError(f"weights {file} do not fit the model: {error}") from error
    return header
