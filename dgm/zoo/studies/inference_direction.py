"""Which layers of a VAE are used: draws on the way up or down, a chain or a state; three seeds.

``python -m dgm.zoo.studies.inference_direction`` trains what is not on file yet, ten seconds of one
core each, and keeps the scores only: the nats, and the KL of each layer.
"""

from functools import partial
from itertools import product
from pathlib import Path

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.hierarchical import layers_of_numbers, train_hierarchy
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SETTINGS = dict(steps=500, warm=150)
CELLS = list(product((True, False), (False, True)))  # rises, keeps


def load() -> list[dict]:
    """One dict for each run: the cell, seed, nats of validation and test, KL of each layer."""
    return read_runs(FILE)


def train_directed(rises: bool, keeps: bool, seed: int, digits: Dataset) -> dict:
    """Train one cell and score it."""
    runtime.seed(seed)
    model = layers_of_numbers(digits.kind, rises=rises, keeps=keeps)
    fitted = train_hierarchy(model, digits, seed, **SETTINGS)
    with evaluate.measuring(model, 0):
        kl = sum(model.layer_kl(digits.test).mean(0) for _ in range(8)) / 8
    return {
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test, repeats=8).mean, 3),
        "kl": [round(value, 3) for value in kl.tolist()],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    order = product(SEEDS, CELLS)
    cells = [dict(rises=rises, keeps=keeps, seed=seed) for seed, (rises, keeps) in order]
    train = partial(train_directed, digits=data.load("digits"))
    train_missing(FILE, cells, train, settings=SETTINGS)


if __name__ == "__main__":
    main()
