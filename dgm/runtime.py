"""Where this process runs: its scale, its device, its seed."""

from __future__ import annotations

import os
import random

import numpy as np
import torch

SCALES = ("laptop", "gpu")


def scale() -> str:
    """Return ``"laptop"`` or ``"gpu"``: what the variable DGM_SCALE says, else gpu where CUDA is.

    Raises
    ------
    ValueError
        DGM_SCALE holds anything else.
    """
    asked = os.environ.get("DGM_SCALE", "")
    if asked and asked not in SCALES:
        raise ValueError(f"DGM_SCALE is {asked!r}; allowed: {', '.join(SCALES)}, or unset")
    return asked or ("gpu" if torch.cuda.is_available() else "laptop")


def device() -> torch.device:
    """Return the device to train on: under torchrun each local process has a GPU of its own."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def seed(n: int = 0) -> None:
    """Seed Python, NumPy and torch (all devices) with the same ``n``.

    Raises
    ------
    ValueError
        ``n`` is not a whole number from 0 to 2**32 - 1 (what NumPy takes).
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**32:
        raise ValueError(f"n must be a whole number from 0 to 2**32 - 1, got {n!r}")
    random.seed(n)
    np.random.seed(n)
    torch.manual_seed(n)


def derived_seed(*purpose: object) -> int:
    """Return a seed for one purpose, unrelated to those of others: ("order", 0, 3) and so on."""
    return random.Random(repr(purpose)).getrandbits(63)
