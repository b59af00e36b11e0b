"""Training by several processes that torchrun started: who they are, and what they share.

Li et al. (2020), arXiv:2006.15704: every process holds the model and a part of each batch, and the
gradients are averaged, so the processes take the same step as one with the whole batch.
"""

from __future__ import annotations

import atexit
import contextlib
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dgm import runtime
from dgm.train.batches import Batches


def join() -> tuple[int, int]:
    """Join the processes torchrun started, once; return (rank, number of processes).

    A process started without torchrun is (0, 1), and nothing is set up.
    """
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1
    if torch.cuda.is_available():
        torch.cuda.set_device(runtime.device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(dist.destroy_process_group)
    return dist.get_rank(), dist.get_world_size()


class Objective(nn.Module):
    """The mean loss of a batch as a ``forward``: DistributedDataParallel hooks into that.

    With ``mixed_precision`` its matrix products run in bfloat16, on a device that can.
    """

    def __init__(self, model: nn.Module, device: torch.device, mixed_precision: bool = False):
        super().__init__()
        self.model, self.precision = model, contextlib.nullcontext()
        if mixed_precision:
            self.precision = torch.autocast(device.type, torch.bfloat16)

    def forward(self, *batch: Tensor) -> Tensor:
        """A batch as ``model.loss`` takes it -> its mean loss, a scalar."""
        with self.precision:
            loss = self.model.loss(*batch)
        if loss.shape != batch[0].shape[:1]:
            need, got = tuple(batch[0].shape[:1]), tuple(loss.shape)
            raise ValueError(f"model.loss must return one value per example {need}, got {got}")
        return loss.mean()


def shared_objective(
    model: nn.Module,
    batches: Batches,
    device: torch.device,
    fresh: bool,
    mixed_precision: bool = False,
) -> nn.Module:
    """Return the objective, shared among processes where there are several.

    An initialisation from the first batch must see all of it, as it would in one process.
    """
    objective = Objective(model, device, mixed_precision)
    if batches.processes == 1:
        return objective
    if fresh:
        with torch.no_grad():
            objective(*batches.of_all_processes(0))
    return DistributedDataParallel(objective, [device] if device.type == "cuda" else None)


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of each process's ``values``, the same everywhere."""
    processes = join()[1]
    if processes > 1:
        values = values.to(runtime.device())  # where the processes exchange
        dist.all_reduce(values)
        values = values / processes
    return values
