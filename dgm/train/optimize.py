"""How the weights move: the settings allowed, the optimiser, the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
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


def set_rates(optimizer: Optimizer, rates: list[float], factor: float) -> None:
    """Give each parameter group its own rate times ``factor``."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def require_settings(model: nn.Module, settings: dict) -> None:
    """Raise a ValueError that names a model which cannot train or a setting out of range."""
    if not callable(getattr(model, "loss", None)):
        raise ValueError(f"model {type(model).__name__} has no method loss(x)")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"model {type(model).__name__} has no parameter to train")
    least = {"steps": 1, "batch_size": 1, "eval_every": 1, "patience": 1, "warmup": 0, "seed": 0}
    for name, value in settings.items():
        if name in least and value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or value < least[name]:
                raise ValueError(f"{name} must be a whole number from {least[name]}, got {value!r}")
        elif name in ("lr", "clip_norm") and value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
        elif name == "weight_decay" and not 0 <= value < math.inf:
            raise ValueError(f"weight_decay must be at least 0 and finite, got {value!r}")
        elif name == "average" and not 0 <= value < 1:
            raise ValueError(f"average must be at least 0 and below 1, got {value!r}")


def require_validation(patience: int | None, held_out: tuple[Tensor, ...]) -> None:
    """Raise a ValueError if there is to be patience with validations and none to come."""
    if patience and not held_out:
        raise ValueError("patience counts validations, and there are none: give val")
