"""Batches from tensors in memory: one shuffled epoch after another, a part for each process.

Which rows step t sees depends on (seed, t) alone, so training can resume at any step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dgm import runtime


def as_tensors(data: object, name: str, part: str = "train") -> tuple[Tensor, ...]:
    """Return a tensor, a tuple of tensors, or the ``part`` of a data set as a tuple of tensors.

    Raises
    ------
    ValueError
        ``data`` is none of these, is empty, differs in length, or holds NaN or infinite values.
    """
    # what it is
    found = getattr(data, part, None)
    tensors = (found if isinstance(found, Tensor) else data,)
    if isinstance(data, tuple | list):
        tensors = tuple(data)
    if not tensors or not all(isinstance(t, Tensor) and t.ndim > 0 for t in tensors):
        raise ValueError(
            f"{name} must be a data set of dgm.data, a tensor or a tuple of tensors, "
            f"one row per example, got {type(data).__name__}"
        )
    # whether it can be trained on
    lengths = [len(t) for t in tensors]
    if min(lengths) == 0:
        raise ValueError(f"{name} is empty: lengths {lengths}")
    if len(set(lengths)) > 1:
        raise ValueError(f"{name} holds tensors of different lengths: {lengths}")
    for index, t in enumerate(tensors):
        if t.is_floating_point() and not t.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values in tensor {index}")
    return tensors


class Batches:
    """The batches of all steps; ``batches(step)`` is this process's part of one.

    A global batch has ``batch_size * processes`` rows, or all rows where there are fewer. An
    epoch leaves out what does not fill its last batch; the next epoch is shuffled anew.

    Raises
    ------
    ValueError
        Fewer rows than processes.
    """

    def __init__(
        self,
        data: tuple[Tensor, ...],
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        processes: int = 1,
        augment: Callable[[Tensor, int], Tensor] | None = None,
    ):
        self.data, self.seed, self.augment = data, seed, augment
        self.rank, self.processes = rank, processes
        self.length = min(batch_size, len(data[0]) // processes)  # rows of this process
        if self.length == 0:
            raise ValueError(f"data has {len(data[0])} rows for {processes} processes")
        self.whole = self.length * processes
        self.epoch, self.order = -1, torch.empty(0)

    def _rows(self, step: int) -> Tensor:
        """Return the rows of the global batch of ``step``."""
        epoch, place = divmod(step, len(self.data[0]) // self.whole)
        if epoch != self.epoch:
            generator = torch.Generator()
            generator.manual_seed(runtime.derived_seed("order", self.seed, epoch))
            order = torch.randperm(len(self.data[0]), generator=generator)
            self.epoch, self.order = epoch, order.to(self.data[0].device)
        return self.order[place * self.whole : (place + 1) * self.whole]

    def _take(self, rows: Tensor, step: int) -> list[Tensor]:
        batch = [t.index_select(0, rows) for t in self.data]
        if self.augment is not None:
            batch[0] = self.augment(batch[0], step)
        return batch

    def __call__(self, step: int) -> list[Tensor]:
        start = self.rank * self.length
        return self._take(self._rows(step)[start : start + self.length], step)

    def of_all_processes(self, step: int) -> list[Tensor]:
        """Return the global batch of ``step``."""
        return self._take(self._rows(step), step)
