"""What changes while a model trains: exactly this is what a checkpoint has to hold."""

from __future__ import annotations

import math
import time
import warnings
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dgm.train import checkpoint

HISTORY = ("losses", "val_steps", "val_losses")
COUNTS = ("step", "best_step", "best_val")


class Progress:
    """Weights, their running average, the kept best ones, optimiser state, and the history.

    Parameters
    ----------
    model, optimizer
        What is trained, and by what.
    decay
        Of the running average of the weights; 0 keeps none.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, decay: float):
        self.model, self.optimizer, self.decay = model, optimizer, decay
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.averages = [p.detach().clone() for p in self.parameters] if decay else []
        self.step, self.earlier, self.began = 0, 0.0, time.perf_counter()
        self.losses: list[float] = []  # of every step
        self.val_steps: list[int] = []
        self.val_losses: list[float] = []
        self.best_step, self.best_val, self.kept = 0, math.inf, self.weights()
        self.path: Path | None = None  # of the checkpoint
        self.settings: dict = {}

    @torch.no_grad()
    def average(self, step: int) -> None:
        """Move the averages, if any are kept, towards the weights; faster in the first steps."""
        if not self.averages:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the model's state, with averaged weights where averages are kept."""
        averaged = dict(
            zip(map(id, self.parameters), self.averages or self.parameters, strict=True)
        )
        state = self.model.state_dict(keep_vars=True)  # tied weights appear once per name
        return {name: averaged.get(id(t), t).detach().clone() for name, t in state.items()}

    def keep(self, val_loss: float | None) -> None:
        """Note a validation and keep the weights if they are the best, or if there is none."""
        if val_loss is not None:
            self.val_steps.append(self.step)
            self.val_losses.append(val_loss)
            if self.best_step and not val_loss < self.best_val:
                return
            self.best_val = math.inf if math.isnan(val_loss) else val_loss
        self.best_step, self.kept = self.step, self.weights()

    def seconds(self) -> float:
        """Return the time spent training, that before a resumption included."""
        return self.earlier + time.perf_counter() - self.began

    def stale(self) -> int:
        """Return how many validations have passed since the best one."""
        return sum(step > self.best_step for step in self.val_steps)

    def headline(self) -> str:
        """Return the latest losses in words."""
        val = f", val {self.val_losses[-1]:.4g}" if self.val_losses else ""
        return f"loss {self.losses[-1]:.4g}{val}"

    def resume(self, path: Path, settings: dict) -> None:
        """Write to ``path`` from now on, and go on from what is there already.

        ``settings`` must be the same each time. Raises BadCheckpoint and changes nothing where
        the file is damaged or another's.
        """
        groups = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer.param_groups
        ]
        settings = settings | {"optimizer": (type(self.optimizer), groups)}
        self.path = path
        self.settings = {name: checkpoint.described(value) for name, value in settings.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._restore(path)

    def write(self) -> None:
        """Write the checkpoint, if one is wanted; a disk that refuses is no reason to stop."""
        if self.path is None:
            return
        try:
            self._write(self.path)
        except OSError as problem:
            warnings.warn(
                f"{problem}. Training goes on without it; the weights are safe in memory.",
                RuntimeWarning,
                stacklevel=4,
            )

    def _write(self, path: Path) -> None:
        parts: dict[str, dict] = {"model": self.model.state_dict(), "kept": self.kept}
        parts["average"] = dict(enumerate(self.averages))
        parts["history"] = {
            name: torch.tensor(getattr(self, name), dtype=torch.float64) for name in HISTORY
        }
        states, scalars = self.optimizer.state_dict()["state"], {}
        for index, state in states.items():
            parts[f"optimizer/{index}"] = {k: v for k, v in state.items() if torch.is_tensor(v)}
            scalars[index] = {k: v for k, v in state.items() if not torch.is_tensor(v)}
        tensors = {f"{part}/{key}": t for part, of in parts.items() for key, t in of.items()}
        about = {"settings": self.settings, "optimizer": scalars, "seconds": self.seconds()}
        checkpoint.save(path, tensors, about | {key: getattr(self, key) for key in COUNTS})

    def _restore(self, path: Path) -> None:
        tensors, about = checkpoint.load(path)
        parts: dict[str, dict] = defaultdict(dict)
        for name, tensor in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = tensor
        # is it of this model and this run?
        here = self.model.state_dict()
        forms = [
            {k: [str(t.dtype), *t.shape] for k, t in s.items()} for s in (parts["model"], here)
        ]
        checkpoint.require_same(path, *forms, "model")
        checkpoint.require_same(path, about["settings"], self.settings, "run")
        # the weights, then the optimiser, then the history
        self.model.load_state_dict(parts["model"])
        self.kept = {name: t.to(here[name].device) for name, t in parts["kept"].items()}
        for index, average in enumerate(self.averages):
            average.copy_(parts["average"][str(index)])
        state = {int(index): scalars for index, scalars in about["optimizer"].items()}
        for name, tensor in parts["optimizer"].items():
            index, _, key = name.partition("/")
            state[int(index)][key] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        for name in HISTORY:
            setattr(self, name, parts["history"][name].tolist())
        self.val_steps = [int(step) for step in self.val_steps]
        for key in COUNTS:
            setattr(self, key, about[key])
        self.earlier, self.began = about["seconds"], time.perf_counter()
