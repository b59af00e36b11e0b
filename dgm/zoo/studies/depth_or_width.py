"""The very deep VAE of the digits with fewer and wider layers, equal parameters, three seeds.

``python -m dgm.zoo.studies.depth_or_width`` trains what is not on file yet, a minute of one core
each, and keeps the scores only. The deep one is the recipe of the zoo.
"""

from functools import partial
from itertools import product
from pathlib import Path

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo import hierarchical
from dgm.zoo.hierarchical import train_hierarchy, very_deep_vae
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SIZES = {  # layers: sizes with the parameters of the recipe, 127 thousand
    1: dict(sides=(1,), channels=(20,), width=31),
}


def load() -> list[dict]:
    """One dict for each run: layers, seed, nats of validation and test, parameters."""
    return read_runs(FILE)


def train_wide(layers: int, seed: int, digits: Dataset) -> dict:
    """Train one cell by the recipe of the very deep VAE and score it."""
    recipe = hierarchical.DEEP_DIGITS
    runtime.seed(seed)
    model = very_deep_vae(digits.kind, **recipe.sizes | SIZES[layers])
    fitted = train_hierarchy(model, digits, seed, **recipe.fit)
    return {
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test, repeats=8).mean, 3),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Train what is not on file yet, the flat one first."""
    cells = [dict(layers=layers, seed=seed) for layers, seed in product(SIZES, SEEDS)]
    train_missing(FILE, cells, partial(train_wide, digits=data.load("digits")))


if __name__ == "__main__":
    main()
