"""What a call would take, counted while it runs on two rows: work is refused before it is begun.

Counted, not timed, so that a report does not depend on how busy the machine is. The prices are
those of one slow core; double precision has no fast convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

SECONDS_AN_OPERATION = 1e-5
SECONDS_A_NUMBER = 3e-9
SECONDS_A_NUMBER_READ = 1e-9  # a product with few rows waits for the weights
SECONDS_A_FLOP = {torch.float64: 8e-11, torch.float32: 2e-11}
SECONDS_A_CONVOLUTION_FLOP = {torch.float64: 3.5e-10, torch.float32: 2e-11}
_CONVOLUTIONS = {torch.ops.aten.convolution, torch.ops.aten.convolution_backward}


class Cost(NamedTuple):
    """Seconds of a call: what it takes whatever the batch, and for every row of it."""

    fixed: float
    row: float

    def rows(self, seconds: float) -> int:
        """How many rows go into this time."""
        return int(max(0.0, seconds - self.fixed) / max(self.row, 1e-12))


class _OverLimit(Exception):  # noqa: N818 (not an error: it ends a call that takes too long)
    pass


class _Meter(TorchDispatchMode):
    """Adds up operations, numbers made and products while it is entered."""

    def __init__(self, limit: float):
        super().__init__()
        self.limit, self.fixed, self.work = limit, 0.0, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func._overloadpacket
        first = out[0] if isinstance(out, tuple | list) and out else out
        # the operation, what it writes, what it multiplies
        self.fixed += SECONDS_AN_OPERATION
        if isinstance(first, Tensor):
            is_view = not func.is_view if isinstance(func.is_view, bool) else True
            self.work += SECONDS_A_NUMBER * first.numel() * is_view
            if packet in flop_registry:
                read = sum(a.numel() for a in args if isinstance(a, Tensor))
                self.fixed += SECONDS_A_NUMBER_READ * read
                price = SECONDS_A_CONVOLUTION_FLOP if packet in _CONVOLUTIONS else SECONDS_A_FLOP
                flops = flop_registry[packet](*args, **kwargs, out_val=out)
                self.work += price.get(first.dtype, 8e-11) * flops
        if self.fixed + self.work > self.limit:
            raise _OverLimit
        return out


def cost_of(call: Callable[[], object], rows: int, limit: float) -> Cost | None:
    """The cost of `call()` on this many rows, or None when it was ended at `limit` seconds."""
    meter = _Meter(limit)
    try:
        with meter:
            call()
    except _OverLimit:
        return None
    return Cost(meter.fixed, meter.work / rows)
