"""Which games visit all eight modes of the ring? Five games, three seeds each, one architecture.

The Wasserstein critic takes five steps for one of the generator, as in its paper; the others one.

``python -m dgm.zoo.studies.ring_coverage`` trains what is not on file yet, about ten seconds of one
core each, and keeps modes visited and the share of good draws at ten times of the training.
"""

import math
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from dgm import data, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.measure.mode_coverage import mode_coverage
from dgm.train import TrainingDiverged
from dgm.train.game import play
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
NAMES = ("minimax_gan", "nonsaturating_gan", "wasserstein_gan", "spectral_gan", "relativistic_gan")
STD = 0.02
FIT = dict(steps=1500, batch_size=128, lr=1e-3, betas=(0.5, 0.9), progress=False)
OFTEN = {"wasserstein_gan": 5}  # steps of the critic
SIZES = dict(latent_dim=4, hidden=(96, 96))


def modes() -> Tensor:
    """The centres (8, 2): a circle of radius 2."""
    angle = torch.arange(8) * (2 * math.pi / 8)
    return 2 * torch.stack((angle.cos(), angle.sin()), 1)


def ring() -> Dataset:
    """The data: eight narrow Gaussians."""
    return data.load("eight_gaussians", noise=STD)


def load() -> list[dict]:
    """One dict for each run: game, seed, and lists over its reviews: step, modes, good."""
    return read_runs(FILE)


def train_game(
    name: str, seed: int, points: Dataset, seen: list | None = None, **fit: object
) -> dict:
    """Train one game; 2,500 draws are looked at ten times (and kept in ``seen``, if given)."""
    runtime.seed(seed)
    model = zoo.get(name).build(points.kind, **SIZES)
    settings = FIT | {"critic_steps": OFTEN.get(name, 1)} | fit
    run = {"game": name, "seed": seed, "step": [], "modes": [], "good": [], "diverged": False}

    def look(model) -> float:
        x = model.sample(2500, generator=torch.Generator().manual_seed(0))
        found, good = mode_coverage(x, modes(), STD)
        run["step"].append(settings["steps"] // 10 * (len(run["step"]) + 1))
        run["modes"].append(found)
        run["good"].append(round(good, 4))
        if seen is not None:
            seen.append(x)
        return -float(len(run["step"]))  # the last is kept

    try:
        play(
            model,
            points.train,
            seed=seed,
            score=look,
            eval_every=settings["steps"] // 10,
            **settings,
        )
    except TrainingDiverged:
        run["diverged"] = True
    return run


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(game=name, seed=seed) for seed, name in product(SEEDS, NAMES)]
    points = ring()
    train_missing(FILE, cells, lambda game, seed: train_game(game, seed, points))


if __name__ == "__main__":
    main()
