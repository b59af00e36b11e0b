"""A loop that finishes unattended: where a run goes wrong it goes back, and on more slowly.

Energy models trained by chains diverge now and then; their authors restart by hand from the last
checkpoint with a new seed (Grathwohl et al. 2020, arXiv:1912.03263, appendix H.3). Here that is a
rule of the loop.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dgm.runtime import derived_seed
from dgm.train.batches import Batches, as_tensors
from dgm.train.loop import Fit, TrainingDiverged
from dgm.train.optimize import make_optimizer, require_settings, schedule_factor, set_rates
from dgm.train.progress import Progress


@dataclass(frozen=True)
class GuardedFit(Fit):
    """A `Fit`, and the steps at which the run was found to go wrong and went back."""

    rollbacks: tuple[int, ...] = ()


@dataclass
class _Good:
    """All that a run goes back to: weights, optimiser, averages."""

    model: dict
    optimizer: dict
    averages: list[Tensor]

    @classmethod
    def of(cls, run: Progress) -> _Good:
        return cls(
            *copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict())),
            [t.clone() for t in run.averages],
        )

    def restore(self, run: Progress) -> None:
        run.model.load_state_dict(self.model)
        run.optimizer.load_state_dict(copy.deepcopy(self.optimizer))
        for mine, kept in zip(run.averages, self.averages, strict=True):
            mine.copy_(kept)


def guarded_fit(
    model: nn.Module,
    data: object,
    *,
    steps: int = 1000,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str | Callable[[int], float] = "cosine",
    warmup: int = 0,
    clip_norm: float | None = None,
    average: float = 0.0,
    eval_every: int = 50,
    most: float = 50.0,
    attempts: int = 6,
    augment: Callable[[Tensor, int], Tensor] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> GuardedFit:
    """Minimise ``model.loss(*batch).mean()``; a stretch of steps that goes wrong is taken back.

    A stretch of ``eval_every`` steps went wrong where a loss or a weight is not finite, or the mean
    of |loss| over it is beyond ``most``. Then weights, optimiser and averages are those of the last
    good stretch again, modules with a ``restart()`` forget what they keep, the learning rate is
    halved from there on, and the stretch is run with other noise. Such steps count once in
    ``steps``. The model ends with its last weights (averages, where they are kept), in eval mode.

    Parameters
    ----------
    most : of nats; a contrast of energies that works hovers near zero.
    attempts : how often in all a stretch may go wrong before `TrainingDiverged` is raised.
    data, lr, schedule, warmup, clip_norm, average, augment, seed : as in `fit`.

    Raises
    ------
    ValueError : an argument out of range, unusable data.
    TrainingDiverged : the stretches that went wrong are more than ``attempts``.
    """
    # what is trained on what
    settings = dict(steps=steps, batch_size=batch_size, lr=lr, warmup=warmup, average=average)
    settings |= dict(weight_decay=weight_decay, clip_norm=clip_norm, seed=seed)
    require_settings(model, settings | dict(eval_every=eval_every))
    if not 0 < most < math.inf or isinstance(attempts, bool) or attempts < 0:
        raise ValueError(f"most > 0 and attempts >= 0 needed, got {most!r} and {attempts!r}")
    train = as_tensors(data, "data")
    model.data.check(train[0], "data")
    batches = Batches(train, batch_size, seed, 0, 1, augment)
    factor = schedule_factor(schedule, warmup, steps)
    run = Progress(model, make_optimizer(None, model, lr, weight_decay), average)
    # the loop, a stretch at a time
    rollbacks: list[int] = []
    good, slower = _Good.of(run), 1.0
    model.train()
    with torch.random.fork_rng(devices=[]), tqdm(total=steps, disable=not progress) as bar:
        while run.step < steps:
            torch.manual_seed(derived_seed("guarded", seed, run.step, len(rollbacks)))
            stretch = range(run.step, min(run.step + eval_every, steps))
            losses = [_step(run, batches(t), t, slower * factor(t) * lr, clip_norm)
                      for t in stretch]  # fmt: skip
            if _went_well(run, losses, most):
                run.losses += losses
                run.step += len(losses)
                good = _Good.of(run)
                bar.update(len(losses))
                continue
            rollbacks.append(run.step)
            good.restore(run)
            if len(rollbacks) > attempts:
                model.eval()
                raise TrainingDiverged(run.step + len(losses), losses[-1], run.step)
            slower /= 2
            for module in model.modules():
                if hasattr(module, "restart"):
                    module.restart()
    return _said(run, steps, rollbacks)


def _said(run: Progress, steps: int, rollbacks: list[int]) -> GuardedFit:
    """Give the model its last weights, in eval mode, and say what happened."""
    run.model.load_state_dict(run.weights())
    run.model.eval()
    width = max(1, steps // 100)
    ends = list(range(width, steps + 1, width))
    means = [sum(run.losses[end - width : end]) / width for end in ends]
    return GuardedFit(steps, run.seconds(), steps, None, ends, means, [], [], tuple(rollbacks))


def _step(
    run: Progress, batch: list[Tensor], step: int, rate: float, clip_norm: float | None
) -> float:
    """One update; gives the loss."""
    set_rates(run.optimizer, [rate], 1.0)
    loss = run.model.loss(*batch).mean()
    run.optimizer.zero_grad()
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(run.parameters, clip_norm)
    run.optimizer.step()
    run.average(step)
    return loss.item()


def _went_well(run: Progress, losses: list[float], most: float) -> bool:
    """Whether losses and weights are finite and the losses within ``most`` on average."""
    finite = all(bool(p.detach().isfinite().all()) for p in run.parameters)
    return finite and sum(map(abs, losses)) / len(losses) <= most
