"""One energy in the plane, trained in five ways, each held against the exact likelihood.

``python -m dgm.zoo.studies.energy_objectives`` trains what is not on file yet, some seconds each.
Z of every trained energy is summed on a fine grid, so excesses over the entropy are exact but for
the noise of the test points.
"""

from itertools import product
from pathlib import Path

from torch import nn

from dgm import data, runtime, zoo
from dgm.deep_energy.contrast import Contrast
from dgm.deep_energy.mala import MALA
from dgm.deep_energy.plane_energy import GridLikelihood
from dgm.deep_energy.replay_buffer import ReplayBuffer
from dgm.distribution.support import Reals
from dgm.train import fit
from dgm.train.unattended import tend
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
TOYS = ("rings", "moons", "checkerboard")
NAMES = {
    "plane_energy": "likelihood on a grid",
    "contrastive_energy": "chains with a buffer",
    "noise_contrastive_energy": "noise contrast",
    "sliced_energy": "sliced score matching",
    "denoising_energy": "denoising score matching",
}
TENDED = dict(steps=300, batch_size=256, lr=1e-3, average=0.99)
FIT = dict(steps=300, batch_size=256, lr=5e-3, schedule="cosine", average=0.99, progress=False)


def load() -> list[dict]:
    """One dict for each run: toy, name, seed, excess and its error in nats, seconds of one core."""
    return read_runs(FILE)


def untrained_energy(name: str) -> nn.Module:
    """The same network with one of the objectives, its Z on a grid of 200 by 200."""
    whole = zoo.get("plane_energy" if name == "contrastive_energy" else name).build(Reals((2,)))
    if name == "contrastive_energy":
        whole.model.objective = Contrast(ReplayBuffer(2, 1000, fresh=0.02), steps=6)
        whole.model.walker = MALA(0.05)
    elif name == "plane_energy":
        whole.model.objective = GridLikelihood(48)
    return whole


def excess_of(model: nn.Module, toy: data.Dataset) -> tuple[float, float]:
    """Mean of log law - log p over the test points, nats, and its standard error: paired."""
    gap = (toy.law.log_prob(toy.test) - model.log_prob(toy.test)).detach().double()
    return gap.mean().item(), (gap.std() / len(gap) ** 0.5).item()


def train_objective(toy: str, name: str, seed: int, **settings: object) -> dict:
    """Train one and score it; of noise contrast also how far its learned log Z is off."""
    points = data.load(toy)
    runtime.seed(seed)
    model = untrained_energy(name)
    model.start_from(points.train)
    if name == "contrastive_energy":  # chains cannot follow so fast
        fitted = tend(model.model, points.train, seed=seed, **TENDED | settings).fit
    else:
        fitted = fit(model, points.train, seed=seed, **FIT | settings)
    excess, error = excess_of(model, points)
    run = {
        "excess": round(excess, 4),
        "error": round(error, 4),
        "seconds": round(fitted.seconds, 1),
    }
    learned = getattr(model.model.objective, "log_z", None)
    if learned is not None:
        run["log_z_off"] = round((learned - model.log_z()).item(), 4)
    return run


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    found = product(SEEDS, TOYS, NAMES)
    cells = [dict(toy=toy, name=name, seed=seed) for seed, toy, name in found]
    train_missing(FILE, cells, train_objective, **FIT)


if __name__ == "__main__":
    main()
