"""Numbers in a few bits each, as text: blocks of 64 share a scale (tensor.js unpacks them)."""

import base64

import numpy as np
import torch
from torch import Tensor

from dgm.plot.live.record import Program, Ref

BLOCK = 64
FEW = 512  # tensors of up to so many numbers are kept whole


def _codes(values: Tensor, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers (blocks, 64) in -top .. top, and the step (blocks,) of each block, float32."""
    flat = values.detach().double().flatten().numpy()
    blocks = np.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    top = 2 ** (bits - 1) - 1
    step = (np.abs(blocks).max(1) / top).astype(np.float32)
    safe = np.where(step > 0, step, 1)
    return np.clip(np.round(blocks / safe[:, None]), -top, top).astype(np.int64), step


def rounded_to(values: Tensor, bits: int) -> Tensor:
    """``values`` as a page reads them that were packed in so many bits; small ones untouched."""
    if values.numel() <= FEW:
        return values
    codes, step = _codes(values, bits)
    flat = torch.from_numpy((codes * step[:, None].astype(np.float64)).ravel()[: values.numel()])
    return flat.view(values.shape).to(values.dtype)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def packed(values: Tensor, bits: int) -> list:
    """[shape, bits, steps, codes] with base64 texts; [shape, 32, floats] of a small tensor."""
    shape = list(values.shape)
    if values.numel() <= FEW:
        return [shape, 32, _text(values.detach().float().numpy().astype("<f4").tobytes())]
    codes, step = _codes(values, bits)
    unsigned = (codes.ravel() + 2 ** (bits - 1)).astype(np.uint32)
    stream = (unsigned[:, None] >> np.arange(bits)[::-1]) & 1  # the high bit first
    return [shape, bits, _text(step.astype("<f4").tobytes()), _text(np.packbits(stream).tobytes())]


def _plain(value: object) -> object:
    """One argument as JSON: places as {"r": k}, dtypes and the like as their names."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Ref):
        return {"r": value.k}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def packed_program(program: Program, bits: int) -> dict:
    """What tensor.js runs: steps [name, arguments, results], constants, the place of the result."""
    steps = [
        [f._schema.name.removeprefix("aten::").rstrip("_"), _plain(a), _plain(r)]
        for f, a, r in program.steps
    ]
    constants = {k: packed(v, bits) for k, v in program.constants.items()}
    return {"steps": steps, "constants": constants, "out": program.out}


def fewest_bits(program: Program, examples: Tensor, tolerance: float, choices=range(7, 17)) -> int:
    """The fewest bits with which every result moves by at most ``tolerance`` in sum.

    Raises
    ------
    ValueError
        None of ``choices`` is enough.
    """
    right = [program(x[None]).sum() for x in examples]
    for bits in choices:
        constants = {k: rounded_to(v, bits) for k, v in program.constants.items()}
        moved = [
            abs(program(x[None], constants).sum() - r) for x, r in zip(examples, right, strict=True)
        ]
        if max(moved) <= tolerance:
            return bits
    raise ValueError(f"tolerance {tolerance} needs more than {max(choices)} bits a number")
