"""How many steps fit into a time: a schedule needs their number before training begins."""

from __future__ import annotations

import copy
import time

import torch
from torch import Tensor, nn


def steps_in(
    minutes: float, model: nn.Module, data: object, *, batch_size: int = 64, trial: int = 8
) -> int:
    """Return about how many steps of `fit` this machine takes in ``minutes``, at least 1.

    Times ``trial`` steps of a copy of the model, whose weights and noise are thrown away; the
    first two warm up and do not count.

    Parameters
    ----------
    data
        A data set of dgm.data, a tensor, or a tuple of tensors: the first rows are the batch.

    Raises
    ------
    ValueError
        ``minutes`` is not above 0.
    """
    if not 0 < minutes < float("inf"):
        raise ValueError(f"minutes must be above 0 and finite, got {minutes!r}")
    train = getattr(data, "train", None)  # of a data set; a tensor has none
    rows = train if isinstance(train, Tensor) else data
    rows = rows if isinstance(rows, tuple) else (rows,)
    twin, device = copy.deepcopy(model).train(), next(model.parameters()).device
    batch = [t[:batch_size].to(device) for t in rows]
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.0)
    seconds = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for _ in range(trial + 2):
            start = time.perf_counter()
            optimizer.zero_grad()
            twin.loss(*batch).mean().backward()
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    typical = sorted(seconds[2:])[trial // 2]
    return max(1, int(0.9 * 60 * minutes / typical))  # a tenth is left for validation
