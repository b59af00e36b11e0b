"""Codes on a sphere or in flat space of equal dimension: which bound is better? Three seeds.

``python -m dgm.zoo.studies.sphere_or_plane`` trains what is not on file yet, ten seconds each on
the small digits, a minute on binarised MNIST (which needs its pictures), and keeps the scores.
"""

from itertools import product
from pathlib import Path
from typing import Any

import torch

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.entry import warm_and_fit
from dgm.zoo.geometry import flat_vae, hyperspherical_vae, train_on_a_sphere
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
DIMS = (2, 5, 10, 20)
ON_DIGITS = dict(steps=1200, warm=300)
ON_MNIST = dict(warm=600, steps=6000, batch_size=64, lr=2e-3, warmup=200, average=0.999)
ON_MNIST |= dict(clip_norm=1.0, eval_every=1000, held_out=2000, progress=False)
CELLS = [("digits", d) for d in DIMS] + [("binary_mnist", d) for d in (2, 5)]


def load() -> list[dict]:
    """One dict for each run: data, codes, dimension, seed, nats of validation and test, parts."""
    return read_runs(FILE)


@torch.no_grad()
def run_one(dataset: Dataset, codes: str, dim: int, seed: int) -> dict:
    """Train one VAE and score it."""
    runtime.seed(seed)
    # the model and its recipe
    small = dataset.name == "digits"
    sizes = {} if small else dict(width=200, dropout=0.0)
    sphere = codes == "sphere"
    name = "sphere_dim" if sphere else "latent_dim"
    model = (hyperspherical_vae if sphere else flat_vae)(dataset.kind, **{name: dim}, **sizes)
    train, settings = (train_on_a_sphere, ON_DIGITS) if small else (warm_and_fit, ON_MNIST)
    with torch.enable_grad():
        fitted = train(model, dataset, seed, **settings)
    # its scores
    test = dataset.test if small else data.load("binary_mnist_test").test[:2000]
    terms = model.eval().terms(test)
    return {
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, test, repeats=4 if small else 1).mean, 3),
        "test_64": round(evaluate.nats(model, test[:500], k=64).mean, 3),
        "kl": round(terms["kl"].mean().item(), 3),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    order = product(CELLS, SEEDS, ("sphere", "flat"))
    cells = [dict(data=name, codes=codes, dim=dim, seed=s) for (name, dim), s, codes in order]

    def train(**cell: Any) -> dict:
        return run_one(data.load(cell.pop("data")), **cell)

    train_missing(FILE, cells, train, digits=ON_DIGITS, binary_mnist=ON_MNIST)


if __name__ == "__main__":
    main()
