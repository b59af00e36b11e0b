"""The training loop of two players: the critic's steps, the generator's step, an average of it.

Goodfellow et al. (2014), arXiv:1406.2661, algorithm 1; the averaged generator: Yazici et al.
(2019), arXiv:1806.04498.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dgm.runtime import derived_seed
from dgm.train.batches import Batches, as_tensors
from dgm.train.loop import Fit, TrainingDiverged
from dgm.train.optimize import require_settings, schedule_factor, set_rates
from dgm.train.progress import Progress


def _take_in(run: Progress, recent: list[Tensor], score: Callable | None, most: float) -> None:
    """Take in the losses since the last review; divergence? score the averaged weights, keep."""
    # divergence
    losses = torch.stack(recent).tolist()
    wrong = [i for i, pair in enumerate(losses) if not all(abs(v) <= most for v in pair)]
    finite = all(bool(t.isfinite().all()) for t in run.model.state_dict().values())
    if wrong or not finite:
        run.model.load_state_dict(run.kept)
        run.model.eval()
        at = wrong[0] if wrong else len(losses) - 1
        worst = max(losses[at], key=lambda v: math.inf if math.isnan(v) else abs(v))
        raise TrainingDiverged(run.step + at + 1, worst, run.best_step)
    # the weights that would be kept
    run.losses += losses
    run.step += len(losses)
    found = None
    if score is not None:
        latest = {name: t.clone() for name, t in run.model.state_dict().items()}
        run.model.load_state_dict(run.weights())
        found = float(score(run.model.eval()))
        run.model.load_state_dict(latest)
        run.model.train()
    run.keep(found)
    recent.clear()


def play(
    model: nn.Module,
    data: object,
    *,
    steps: int = 1000,
    batch_size: int = 64,
    lr: float = 1e-3,
    critic_lr: float | None = None,
    critic_steps: int = 1,
    betas: tuple[float, float] = (0.0, 0.99),
    schedule: str | Callable[[int], float] = "constant",
    warmup: int = 0,
    average: float = 0.0,
    score: Callable[[nn.Module], float] | None = None,
    eval_every: int = 100,
    augment: Callable[[Tensor, int], Tensor] | None = None,
    most: float = 1e4,
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """Let both players of ``model`` learn: ``critic_steps`` on `critic_loss`, one on the other.

    The model ends with the weights of the best review by ``score`` (less is better; without it the
    last ones), running averages where ``average`` is not zero, in eval mode. A step is one step of
    the generator. The `Fit` holds the critic's losses as ``train_loss``.

    Parameters
    ----------
    data : as in `fit`.
    lr, critic_lr : of the generator and of the critic (the same unless given); Adam, ``betas``.
    most : a loss beyond this counts as diverged, as NaN and infinity do.
    schedule, warmup, average, eval_every, augment, seed : as in `fit`.

    Raises
    ------
    ValueError : an argument out of range, unusable data.
    TrainingDiverged : a loss or weight is not finite, or a loss beyond ``most``; the model has the
        weights of the last good review again.
    """
    # what is trained on what
    settings = dict(steps=steps, batch_size=batch_size, lr=lr, warmup=warmup, average=average)
    require_settings(model, settings | dict(eval_every=eval_every, seed=seed))
    if isinstance(critic_steps, bool) or not isinstance(critic_steps, int) or critic_steps < 1:
        raise ValueError(f"critic_steps must be a whole number from 1, got {critic_steps!r}")
    train = as_tensors(data, "data")
    model.data.check(train[0], "data")
    batches = Batches(train, batch_size, seed, 0, 1, augment)
    factor = schedule_factor(schedule, warmup, steps)
    players = (model.critic, critic_lr or lr), (model.generator, lr)
    adams = [
        torch.optim.Adam(net.parameters(), lr=r, betas=betas, fused=True) for net, r in players
    ]
    run = Progress(model, adams[1], average)
    # the loop
    recent: list[Tensor] = []
    model.train()
    with torch.random.fork_rng(devices=[]), tqdm(total=steps, disable=not progress) as bar:
        torch.manual_seed(derived_seed("game", seed))
        for step in range(steps):
            for k in range(critic_steps):
                (x,) = batches(step * critic_steps + k)
                told = model.critic_loss(x).mean()
                _move(adams[0], told, players[0][1] * factor(step))
            fooled = model.generator_loss(x).mean()
            _move(adams[1], fooled, lr * factor(step))
            run.average(step)
            recent.append(torch.stack((told.detach(), fooled.detach())))
            if (step + 1) % eval_every == 0 or step + 1 == steps:
                _take_in(run, recent, score, most)
                bar.update(run.step - bar.n)
    # what happened
    model.load_state_dict(run.kept)
    model.eval()
    width = max(1, steps // 100)
    ends = list(range(width, steps + 1, width))
    means = [sum(pair[0] for pair in run.losses[end - width : end]) / width for end in ends]
    best = run.best_val if run.val_steps else None
    return Fit(
        steps, run.seconds(), run.best_step, best, ends, means, run.val_steps, run.val_losses
    )


def _move(adam: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step of one player."""
    set_rates(adam, [rate], 1.0)
    adam.zero_grad()
    loss.backward()
    adam.step()
