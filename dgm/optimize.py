"""How the weights move: the optimiser and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import AdamW, Optimizer


def schedule_factor(schedule: str | Callable, warmup: int, steps: int) -> Callable[[int], float]:
    """Return step -> factor on the learning rate: a linear warm-up, then the schedule."""

    def cosine(step: int) -> float:  # Loshchilov and Hutter (2017), arXiv:1608.03983, eq. 5
        return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / max(1, steps - warmup))

    after = {"cosine": cosine, "constant": lambda step: 1.0}.get(schedule, schedule)
    if not callable(after):
        raise ValueError(f"schedule must be 'cosine', 'constant' or callable, got {schedule!r}")
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else after(step)


def make_optimizer(make: object, model: nn.Module, lr: float, weight_decay: float) -> Optimizer:
    """Return the optimiser asked for: a class or function to call, one made, or AdamW."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if isinstance(make, Optimizer):
        return make
    if make is not None:
        return make(parameters, lr=lr, **({"weight_decay": weight_decay} if weight_decay else {}))
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # one kernel for all tensors
    return AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
