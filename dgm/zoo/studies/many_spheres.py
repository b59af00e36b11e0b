"""Is it the single concentration that a large sphere suffers from? Many small spheres instead.

``python -m dgm.zoo.studies.many_spheres`` trains what is not on file yet, ten seconds each: ten
dimensions as products of ordinary spheres, each with a concentration of its own, by the
settings of `sphere_or_plane.py`, whose runs are what to compare with.
"""

from functools import partial
from itertools import product
from pathlib import Path

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.geometry import hyperspherical_vae, train_on_a_sphere
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.studies.sphere_or_plane import ON_DIGITS

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
DIMS = (10,)


def load() -> list[dict]:
    """One dict for each run: dimension, number of spheres, seed, nats of validation and test."""
    return read_runs(FILE)


def train_product(dim: int, spheres: int, seed: int, digits: Dataset) -> dict:
    """Train one VAE on so many ordinary spheres, ``dim`` dimensions together, and score it."""
    runtime.seed(seed)
    model = hyperspherical_vae(digits.kind, sphere_dim=dim // spheres, n_spheres=spheres)
    fitted = train_on_a_sphere(model, digits, seed, **ON_DIGITS)
    return {
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test, repeats=4).mean, 3),
        "test_64": round(evaluate.nats(model, digits.test, k=64).mean, 3),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(dim=dim, spheres=dim // 2, seed=seed) for dim, seed in product(DIMS, SEEDS)]
    train = partial(train_product, digits=data.load("digits"))
    train_missing(FILE, cells, train, settings=ON_DIGITS)


if __name__ == "__main__":
    main()
