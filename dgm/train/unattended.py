"""Training that finishes unattended: trouble is seen, undone, and met with shorter steps.

For losses that say nothing of progress, those of energies trained on their own chains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dgm.runtime import derived_seed
from dgm.train.batches import Batches, as_tensors
from dgm.train.loop import Fit
from dgm.train.optimize import require_settings, schedule_factor, set_rates
from dgm.train.progress import Progress


@dataclass(frozen=True)
class Tended:
    """What `tend` did: a `Fit`, and what went wrong on the way.

    ``trouble`` holds for each rollback the step, the mean loss of the window that went wrong (NaN
    where anything was not finite), and the factor on the learning rate from then on.
    """

    fit: Fit
    trouble: list[tuple[int, float, float]] = field(default_factory=list)


class _Snapshot:
    """Weights, buffers, averages and optimiser as they were, to go back to."""

    def __init__(self, run: Progress):
        self.run = run
        self.model = {name: t.clone() for name, t in run.model.state_dict().items()}
        self.averages = [t.clone() for t in run.averages]
        state = run.optimizer.state_dict()["state"]
        self.moments = {i: {k: v.clone() for k, v in s.items()} for i, s in state.items()}

    def restore(self) -> None:
        """Bring all of it back."""
        self.run.model.load_state_dict(self.model)
        for average, before in zip(self.run.averages, self.averages, strict=True):
            average.copy_(before)
        moments = {i: {k: v.clone() for k, v in s.items()} for i, s in self.moments.items()}
        adam = self.run.optimizer
        adam.load_state_dict(adam.state_dict() | {"state": moments})


def _gap(model: nn.Module, losses: list[Tensor]) -> float:
    """Mean loss of a window, NaN where a loss or anything of the model is not finite."""
    finite = all(bool(t.isfinite().all()) for t in model.state_dict().values())
    return torch.stack(losses).mean().item() if finite else math.nan


def tend(
    model: nn.Module,
    data: object,
    *,
    steps: int = 1000,
    batch_size: int = 64,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.0, 0.99),
    average: float = 0.0,
    most: float = 30.0,
    look_every: int = 20,
    shrink: float = 0.5,
    seed: int = 0,
) -> Tended:
    """Train ``model.loss`` for exactly so many steps, whatever happens on the way.

    After every ``look_every`` steps: where the mean loss is beyond ``most`` on either side, or
    anything is not finite, weights, averages, chains and optimiser go back to where they were at
    the last good look, and the learning rate and the step of ``model.walker`` shrink. Each good
    look brings the rate back by a tenth, so that one bad moment does not end the learning. The
    rate falls along a cosine; the model ends in eval mode, its averages in place.

    Parameters
    ----------
    data : as in `fit`; it is looked at before the first step.
    most : of a contrastive loss, the gap between the mean energies of data and chains, nats.
    shrink : factor on rate and step at trouble, between 0 and 1.
    steps, batch_size, lr, average, seed : as in `fit`; Adam with ``betas``.

    Raises
    ------
    ValueError
        An argument out of range, unusable data.
    """
    # what is trained on what
    settings = dict(steps=steps, batch_size=batch_size, lr=lr, warmup=0, average=average)
    require_settings(model, settings | dict(eval_every=look_every, seed=seed))
    if not (0 < shrink < 1 and most > 0):
        raise ValueError(f"shrink must lie in 0 .. 1 and most be positive, got {shrink}, {most}")
    train = as_tensors(data, "data")
    model.data.check(train[0], "data")
    batches = Batches(train, batch_size, seed, 0, 1, None)
    cosine = schedule_factor("cosine", 0, steps)
    adam = torch.optim.Adam(model.parameters(), lr=lr, betas=betas)
    run, rate, trouble, recent = Progress(model.train(), adam, average), 1.0, [], []
    # the loop, and what to go back to
    good = _Snapshot(run)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("tended", seed))
        for step in range(steps):
            set_rates(adam, [lr], rate * cosine(step))
            recent.append(_step(model, adam, batches(step)))
            run.average(step)
            if (step + 1) % look_every and step + 1 < steps:
                continue
            gap = _gap(model, recent)
            if abs(gap) <= most:
                rate, good = min(1.0, 1.1 * rate), _Snapshot(run)
                run.losses += [gap]
            else:
                good.restore()
                rate *= shrink
                _shorten(model, shrink)
                good = _Snapshot(run)
                trouble.append((step + 1, gap, rate))
            recent.clear()
    return _ended(run, steps, look_every, trouble)


def _step(model: nn.Module, adam: torch.optim.Optimizer, batch: tuple[Tensor, ...]) -> Tensor:
    """One step of training; its mean loss."""
    adam.zero_grad()
    loss = model.loss(*batch).mean()
    loss.backward()
    adam.step()
    return loss.detach()


def _shorten(model: nn.Module, shrink: float) -> None:
    """Shorter steps of the chains, where the model has any."""
    walker = getattr(model, "walker", None)
    if walker is not None:
        walker.step *= shrink


def _ended(run: Progress, steps: int, every: int, trouble: list) -> Tended:
    """The averages in place, and what happened: a loss for every good look."""
    run.model.load_state_dict(run.weights())
    run.model.eval()
    ends = [every * (k + 1) for k in range(len(run.losses))]
    return Tended(Fit(steps, run.seconds(), steps, None, ends, run.losses, [], []), trouble)
