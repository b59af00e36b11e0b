"""Which contrastive trainings finish? Forty runs on 8 by 8 digits that nobody looks after.

Twenty seeds of the published recipe (Du and Mordatch, 2019, arXiv:1903.08689: steps far from
Langevin's equation, gradients clipped) and twenty of ours, the same perceptron, as many updates.

``python -m dgm.zoo.studies.finishing`` trains what is not on file yet, two to four seconds of one
core each. A run is judged by chains that start at noise, never by those of its buffer, against
validation digits: our settings were found on seed 0 with the test digits for a judge.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dgm import data, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.deep_energy.contrast import Contrast
from dgm.deep_energy.langevin import Langevin
from dgm.deep_energy.replay_buffer import ReplayBuffer
from dgm.gan.spectral import spectrally_normalised
from dgm.train import TrainingDiverged, fit
from dgm.train.unattended import tend
from dgm.zoo.studies.judges import compared
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(20)
NAMES = ("published", "ours")
STEPS = 150
LONG, DRAWN = 1000, 200
PUBLISHED = dict(step=10.0, temperature=0.005**2 / 20, clip=0.01, box=(0.0, 1.0))
OURS = dict(steps=STEPS, batch_size=64, lr=4e-3, average=0.96)


def load() -> list[dict]:
    """One dict for each run: name, seed, stopped, rollbacks, short, long (Frechet), seconds."""
    return read_runs(FILE)


@lru_cache(maxsize=1)
def small_digits() -> Dataset:
    """The data."""
    return data.load("digits")


@lru_cache(maxsize=1)
def far() -> float:
    """Frechet distance of independent pixels with the right frequencies: no digits at all."""
    p = small_digits().kind.frequencies(small_digits().train).flatten(0, 2)
    draws = torch.multinomial(p, DRAWN, True, generator=torch.Generator().manual_seed(0)).T
    return _distance(draws.view(-1, 1, 8, 8).to(torch.uint8))


def _distance(x: Tensor) -> float:
    """Frechet distance of pictures to the validation digits."""
    return compared(x, small_digits().val, "digits")["frechet"]


def _normalised_once(method: Callable) -> Callable:
    """The method with every weight normalised once a call, not once a step of its chains."""

    def called(*given: object, **named: object) -> Tensor:
        with parametrize.cached():
            return method(*given, **named)

    return called


def as_published(seed: int) -> nn.Module:
    """The recipe as it was published, around our perceptron.

    Spectral normalisation, squared energies as a penalty, 20 steps, 5 % of chains from uniform
    noise. The Gaussian is flat here, so that the network alone is the energy.
    """
    runtime.seed(seed)
    model = zoo.get("contrastive_energy").build(small_digits().kind)
    spectrally_normalised(model.net)
    # its chains, and the noise they start from
    buffer = ReplayBuffer(64, size=10_000, fresh=0.05)
    model.objective = Contrast(buffer, steps=20, noise=0.0, penalty=1.0)
    model.walker = Langevin(**PUBLISHED)
    model.centre.fill_(0.5)
    model.spread.fill_(1e4)

    def noise(n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 64, generator=generator)

    model.base_draws = noise
    model.loss = _normalised_once(model.loss)
    model.sample = _normalised_once(model.sample)
    buffer.fill(noise(10_000))
    return model


def train_unattended(name: str, seed: int, **settings: object) -> dict:
    """One run to its end or its stop, and what its chains from noise look like to the judge."""
    train, stopped, rollbacks = small_digits().train, False, 0
    if name == "ours":
        runtime.seed(seed)
        model = zoo.get("contrastive_energy").build(small_digits().kind)
        model.start_from(train)
        tended = tend(model, train, seed=seed, **OURS | settings)
        rollbacks, seconds = len(tended.trouble), tended.fit.seconds
    else:
        model, seconds = as_published(seed), float("nan")
        adam = torch.optim.Adam(model.parameters(), lr=3e-4, betas=(0.0, 0.999))
        usual = dict(steps=STEPS, batch_size=64, optimizer=adam, progress=False)
        try:
            seconds = fit(model, train, seed=seed, **usual | settings).seconds
        except TrainingDiverged:
            stopped = True
    run = {"stopped": stopped, "rollbacks": rollbacks, "seconds": round(seconds, 1)}
    return run | looked_at(model.eval())


@torch.no_grad()
def looked_at(model: nn.Module) -> dict:
    """Frechet distances of chains from noise, as short as in training and LONG steps long."""
    found = {}
    for name, steps in dict(short=50, long=LONG).items():
        model.steps = steps
        x = model.sample(DRAWN, generator=torch.Generator().manual_seed(0))
        found[name] = round(_distance(x), 2)
    return found


def main() -> None:
    """Train what is not on file yet."""
    cells = [dict(name=name, seed=seed) for seed, name in product(SEEDS, NAMES)]
    train_missing(FILE, cells, train_unattended, far=round(far(), 2))


if __name__ == "__main__":
    main()
