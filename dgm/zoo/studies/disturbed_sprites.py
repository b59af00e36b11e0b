"""Three objectives on sprites among noise, and on sprites in a random colour, three seeds each.

As `disentangled_sprites`, one strength an objective; metrics are of the factors that are left.
``python -m dgm.zoo.studies.disturbed_sprites`` trains what is not on file yet, under a minute of
one core each.
"""

import functools
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from dgm import runtime
from dgm.data.sprite_variants import coloured, noisy
from dgm.distribution.support import Levels
from dgm.zoo import disentanglement
from dgm.zoo.studies.disentangled_sprites import FIT, all_sprites, built, metrics
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
DISTURBED = {"noisy": noisy, "coloured": coloured}
STRENGTHS = {"beta-VAE": 4.0, "annealed VAE": 12.0, "FactorVAE": 30.0}  # the middle of each


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


@functools.cache
def disturbed(variant: str) -> SimpleNamespace:
    """All sprites of a variant, in the order of the grid."""
    x = DISTURBED[variant](all_sprites().train)
    return SimpleNamespace(train=x, kind=Levels(tuple(x.shape[1:]), 2))


def one_disturbed_run(variant: str, objective: str, seed: int) -> dict:
    """Train one cell and score its means."""
    runtime.seed(seed)
    at, begun = disturbed(variant), time.process_time()
    model = built(objective, STRENGTHS[objective], at.kind)
    disentanglement.fit_codes(model, at, seed, **FIT)
    seconds = time.process_time() - begun
    with torch.no_grad():
        q = model.posterior(at.train)
    found = metrics(q.mean) | {"kl": q.kl().mean().item()}
    found = {name: round(value, 4) for name, value in found.items()}
    return found | {"seconds": round(seconds, 1)}


def main() -> None:
    """Train what is missing, seed by seed."""
    cells = [
        dict(variant=variant, objective=objective, seed=seed)
        for seed in SEEDS
        for variant in DISTURBED
        for objective in STRENGTHS
    ]
    train_missing(FILE, cells, one_disturbed_run, fit=FIT, strengths=STRENGTHS)


if __name__ == "__main__":
    main()
