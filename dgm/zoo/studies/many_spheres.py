"""Is it the single concentration that a large sphere suffers from? Many small spheres instead.

``python -m dgm.zoo.studies.many_spheres`` trains what is not on file yet, ten seconds each: ten
dimensions as products of ordinary spheres, each with a concentration of its own, by the
settings of `sphere_or_plane.py`, whose runs are what to compare with.
"""

import json
import sys
from itertools import product
from pathlib import Path

from dgm import data, evaluate, results, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.geometry import hyperspherical_vae, train_on_a_sphere
from dgm.zoo.studies.sphere_or_plane import ON_DIGITS

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
DIMS = (10,)


def load() -> list[dict]:
    """One dict for each run: dimension, number of spheres, seed, nats of validation and test."""
    return json.loads(FILE.read_text(encoding="utf-8"))["runs"]


def train_product(dim: int, seed: int, digits: Dataset) -> dict:
    """Train one VAE on dim // 2 ordinary spheres and score it."""
    runtime.seed(seed)
    model = hyperspherical_vae(digits.kind, sphere_dim=2, n_spheres=dim // 2)
    fitted = train_on_a_sphere(model, digits, seed, **ON_DIGITS)
    return {
        "dim": dim,
        "spheres": dim // 2,
        "seed": seed,
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test, repeats=4).mean, 3),
        "test_64": round(evaluate.nats(model, digits.test, k=64).mean, 3),
        "seconds": round(fitted.seconds, 1),
    }


def main(most: int = 100) -> None:
    """Run what is missing, ``most`` of it, seed by seed, and write after each run."""
    digits, runs = data.load("digits"), load() if FILE.exists() else []
    done = {(r["dim"], r["seed"]) for r in runs}
    missing = [cell for cell in product(DIMS, SEEDS) if cell not in done]
    for dim, seed in missing[:most]:
        runs.append(train_product(dim, seed, digits))
        print(runs[-1], flush=True)
        lines = ",\n  ".join(map(json.dumps, runs))
        head = f'"settings": {json.dumps(ON_DIGITS)},\n "hardware": "{results.hardware()}"'
        FILE.write_text(f'{{{head},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
