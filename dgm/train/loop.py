"""One plain training loop for every model that has ``loss(*batch) -> (B,)``.

The rows of a batch depend on (seed, step) alone, and its noise is seeded anew from (seed, step,
process) after every review. So a run that was killed and resumed equals one that was not, as long
as the randomness in ``loss`` and ``augment`` comes from torch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from dgm.runtime import derived_seed
from dgm.train.batches import Batches, as_tensors
from dgm.train.checkpoint import fingerprint
from dgm.train.optimize import (
    make_optimizer,
    require_settings,
    require_validation,
    schedule_factor,
    set_rates,
)
from dgm.train.processes import join, mean_over_processes, shared_objective
from dgm.train.progress import Progress


@dataclass(frozen=True)
class Fit:
    """What a training run did; losses are means per example, in the unit of ``model.loss``.

    ``train_loss`` holds about a hundred means over the steps up to each entry of ``train_steps``;
    ``best_step`` is the step whose weights the model has now; ``best_val`` is None without
    validation.
    """

    steps: int
    seconds: float
    best_step: int
    best_val: float | None
    train_steps: list[int]
    train_loss: list[float]
    val_steps: list[int]
    val_loss: list[float]


class TrainingDiverged(RuntimeError):  # noqa: N818, a name readers catch
    """The loss or a weight became NaN or infinite; the model has the last good weights again."""

    def __init__(self, step: int, loss: float, kept_step: int):
        super().__init__(
            f"training diverged: loss {loss} at step {step}; the model has the weights of step "
            f"{kept_step} again. Try a smaller lr, warmup, or clip_norm."
        )
        self.step, self.loss, self.kept_step = step, loss, kept_step


@torch.no_grad()
def _validate(model: nn.Module, data: tuple[Tensor, ...], size: int, seed: int) -> float:
    """Return the mean loss over ``data``, on the same noise each time, shared among processes."""
    rank, processes = join()
    torch.manual_seed(derived_seed("validation", seed, rank))
    total = torch.zeros(2, dtype=torch.float64)  # sum of losses, examples
    model.eval()
    for start in range(rank * size, len(data[0]), size * processes):
        loss = model.loss(*(t[start : start + size] for t in data))
        total += torch.tensor([loss.sum().item(), len(loss)])
    model.train()
    total = mean_over_processes(total)
    return (total[0] / total[1]).item()


def _on_device(
    model: nn.Module, data: object, val: object, device: torch.device
) -> tuple[tuple[Tensor, ...], ...]:
    """Return the tensors to train on and those to validate on (none: an empty tuple).

    Where the model says what its data are, all of them are checked here, once.
    """
    train = as_tensors(data, "data")
    held_out = getattr(data, "val", None) if val is None else val
    held_out = () if held_out is None else as_tensors(held_out, "val", "val")
    check = getattr(getattr(model, "data", None), "check", None)
    for name, tensors in (("data", train), ("val", held_out)):
        for part in tensors[0].split(4096) if tensors and check else ():
            check(part, name)
    return tuple(t.to(device) for t in train), tuple(t.to(device) for t in held_out)


@contextlib.contextmanager
def _left_as_it_was(optimizer: Optimizer, device: torch.device) -> Iterator[list[float]]:
    """Give the learning rates; put them and the caller's noise back at the end."""
    rates = [group["lr"] for group in optimizer.param_groups]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield rates
        finally:
            set_rates(optimizer, rates, 1.0)


def _review(
    run: Progress, recent: list[Tensor], held_out: tuple[Tensor, ...], size: int, seed: int
) -> None:
    """Take in and clear the losses since the last review; divergence? validate, keep, write."""
    # divergence
    losses = mean_over_processes(torch.stack(recent)).tolist()
    bad = [index for index, loss in enumerate(losses) if not math.isfinite(loss)]
    finite = torch.stack([p.detach().isfinite().all() for p in run.parameters]).all()
    if bad or not finite:
        run.model.load_state_dict(run.kept)
        run.model.eval()
        at = bad[0] if bad else len(losses) - 1
        raise TrainingDiverged(run.step + at + 1, losses[at], run.best_step)
    # validation of the weights that would be kept
    run.losses += losses
    run.step += len(losses)
    val_loss = None
    if held_out:
        latest = {name: t.clone() for name, t in run.model.state_dict().items()}
        run.model.load_state_dict(run.weights())
        val_loss = _validate(run.model, held_out, size, seed)
        run.model.load_state_dict(latest)
    run.keep(val_loss)
    if join()[0] == 0:
        run.write()
    recent.clear()


def _finish(run: Progress) -> Fit:
    """Give the model the weights that were kept, in eval mode, and say what happened."""
    run.model.load_state_dict(run.kept)
    run.model.eval()
    width = max(1, len(run.losses) // 100)
    ends = list(range(width, len(run.losses) + 1, width))
    means = [sum(run.losses[end - width : end]) / width for end in ends]
    best = run.best_val if run.val_steps else None
    history = (ends, means, run.val_steps, run.val_losses)
    return Fit(run.step, run.seconds(), run.best_step, best, *history)


def fit(
    model: nn.Module,
    data: object,
    *,
    val: object = None,
    steps: int = 1000,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    optimizer: Callable[..., Optimizer] | Optimizer | None = None,
    schedule: str | Callable[[int], float] = "cosine",
    warmup: int = 0,
    clip_norm: float | None = None,
    average: float = 0.0,
    patience: int | None = None,
    eval_every: int = 100,
    augment: Callable[[Tensor, int], Tensor] | None = None,
    mixed_precision: bool = False,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Fit:
    """Minimise ``model.loss(*batch).mean()`` where the model is; return what happened.

    Every ``eval_every`` steps comes a review: divergence is looked for, the validation loss is
    taken, the best weights so far are kept, and the checkpoint is written. The model ends with the
    best weights by validation (the last ones without), in eval mode. The caller's noise is left
    as it was. Under torchrun each process takes its part of a batch of ``batch_size`` times the
    number of processes, and the first one alone prints and writes.

    Parameters
    ----------
    data, val
        A data set of dgm.data (its ``train`` and ``val``), a tensor, or a tuple of tensors.
    optimizer
        An optimiser, or what makes one from (parameters, lr=, weight_decay=): a class of
        torch.optim, a partial of one. AdamW unless given.
    schedule
        Factor on the learning rate after ``warmup`` linear steps: cosine to zero, constant, or a
        function of the step.
    average
        Decay of a running average of the weights, which is then what is validated and kept.
    patience
        Stop after this many validations without a better one.
    augment
        ``augment(x, step)`` of the first tensor of each batch; its noise comes from torch.
    mixed_precision
        Matrix products in bfloat16: faster on newer GPUs, and too coarse for flows, orthogonal
        matrices and anything else that is inverted. Validation stays in full precision.
    checkpoint
        File to write, and to resume from where it exists: to the same numbers, bit for bit on a
        CPU. It must come from the same model, data and settings, functions included. A disk that
        is full is a warning, and training goes on.

    Raises
    ------
    ValueError
        An argument is out of range, data are empty, uneven or not finite, or (BadCheckpoint) the
        checkpoint is damaged or another's; nothing is changed then.
    TrainingDiverged
        The loss or a weight became NaN or infinite.
    """
    # what is trained on what
    settings = dict(steps=steps, batch_size=batch_size, lr=lr, weight_decay=weight_decay)
    settings |= dict(warmup=warmup, clip_norm=clip_norm, average=average, eval_every=eval_every)
    require_settings(model, settings | {"seed": seed, "patience": patience})
    device = next(model.parameters()).device
    train, held_out = _on_device(model, data, val, device)
    require_validation(patience, held_out)
    rank, processes = join()
    batches = Batches(train, batch_size, seed, rank, processes, augment)
    factor = schedule_factor(schedule, warmup, steps)
    optimizer = make_optimizer(optimizer, model, lr, weight_decay)
    run = Progress(model, optimizer, average)
    if checkpoint is not None:
        named = dict(schedule=schedule, augment=augment, processes=processes, seed=seed)
        named |= dict(mixed_precision=mixed_precision, data=fingerprint(train + held_out))
        run.resume(Path(checkpoint), settings | named)
    # the loop
    recent = []
    model.train()
    bar = tqdm(total=steps, initial=run.step, disable=not progress or rank > 0)
    with bar, _left_as_it_was(optimizer, device) as rates:
        objective = shared_objective(model, batches, device, run.step == 0, mixed_precision)
        for step in range(run.step, steps):
            if step % eval_every == 0:
                if patience and run.stale() >= patience:
                    break
                torch.manual_seed(derived_seed("noise", seed, step, rank))
            set_rates(optimizer, rates, factor(step))
            loss = objective(*batches(step))
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(run.parameters, clip_norm)
            optimizer.step()
            run.average(step)
            recent.append(loss.detach())
            if (step + 1) % eval_every == 0 or step + 1 == steps:
                _review(run, recent, held_out, max(batch_size, 256), seed)
                bar.update(run.step - bar.n)
                bar.set_postfix_str(run.headline())
    return _finish(run)
