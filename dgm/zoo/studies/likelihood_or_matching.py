"""One field on two moons by likelihood, with a kinetic penalty, by flow matching. Three seeds.

``python -m dgm.zoo.studies.likelihood_or_matching`` trains what is not on file yet, some ten
seconds each, and keeps how far from the entropy, and how many evaluations, as time goes on.
"""

import time
from itertools import product
from pathlib import Path

import torch

from dgm import data, runtime
from dgm.continuous.flow_matching import FlowMatching
from dgm.continuous.solver import Solver
from dgm.distribution.support import Reals
from dgm.train import fit
from dgm.zoo.continuous import ffjord
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
KINETIC = 0.1
STEPS = {"likelihood": 40, "kinetic": 40, "matching": 600}  # between two looks
LOOKS = 4


def load() -> list[dict]:
    """One dict for each run: method, seed, and at each look seconds, nats, evaluations."""
    return read_runs(FILE)


def train_and_look(method: str, seed: int) -> dict:
    """Train one field, and look at it from time to time; the clock stops while we look."""
    runtime.seed(seed)
    moons = data.load("moons")
    model = ffjord(Reals((2,)), width=64, kinetic=KINETIC if method == "kinetic" else 0.0)
    objective = FlowMatching(model) if method == "matching" else model
    test, fixed, tight = moons.test[:1000], model.ode.solver, Solver("dopri5", tol=1e-5)
    law = moons.law.log_prob(test)
    settings = dict(batch_size=256, lr=4e-3, schedule="constant", clip_norm=1.0, progress=False)
    found = {"method": method, "seed": seed, "seconds": [], "nats": [], "evaluations": []}
    spent = 0.0
    for look in range(LOOKS):
        # train
        start = time.process_time()
        steps = STEPS[method]
        fit(objective, moons.train, steps=steps, average=0.95, seed=100 * seed + look, **settings)
        spent += time.process_time() - start
        # look
        model.ode.solver = tight
        with torch.no_grad():
            gap = (law - model.log_prob(test)).mean().item()
        model.ode.solver = fixed
        found["seconds"].append(round(spent, 2))
        found["nats"].append(round(gap, 4))
        found["evaluations"].append(tight.evaluations)
    return found


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(method=method, seed=seed) for seed, method in product(SEEDS, STEPS)]
    train_missing(FILE, cells, train_and_look)


if __name__ == "__main__":
    main()
