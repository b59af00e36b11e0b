"""What free bits do for a plain top-down chain: none, in the first steps, throughout; three seeds.

``python -m dgm.zoo.studies.free_bits`` trains what is not on file yet, ten seconds of one core
each, and keeps the scores only. No light KL at first, so that free bits are all that differs.
"""

from functools import partial
from itertools import product
from pathlib import Path

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.train import fit
from dgm.train.jitter import Jitter
from dgm.zoo.hierarchical import layers_of_numbers
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
FREE = {"none": (0.0, 0.0), "at first": (2.0, 0.0), "throughout": (2.0, 2.0)}  # nats of a layer
SETTINGS = dict(warm=200, steps=450)


def load() -> list[dict]:
    """One dict for each run: when bits are free, seed, nats of the bound, KL of each layer."""
    return read_runs(FILE)


def train_with_free_bits(free: str, seed: int, digits: Dataset) -> dict:
    """Train one chain, charged for all nats but the free ones, and score it: bounds pay for all."""
    runtime.seed(seed)
    model = layers_of_numbers(digits.kind)
    model.start_from(digits.train)
    # the first steps, then the rest
    warm, steps = SETTINGS["warm"], SETTINGS["steps"]
    jitter = dict(levels=digits.levels, until=warm + steps, shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False)
    model.free_bits, then = FREE[free]
    begin = dict(steps=warm, schedule="constant", seed=seed, augment=Jitter(**jitter))
    fit(model, digits.train, **begin, **common)
    model.free_bits = then
    rest = dict(steps=steps, average=0.998, warmup=50, seed=seed + 1000)
    fit(model, digits, augment=Jitter(**jitter, done=warm), **rest, **common)
    # its scores
    with evaluate.measuring(model, 0):
        kl = sum(model.layer_kl(digits.test).mean(0) for _ in range(8)) / 8
    nats = {s: evaluate.nats(model, getattr(digits, s), repeats=8).mean for s in ("val", "test")}
    return {name: round(value, 3) for name, value in nats.items()} | {
        "kl": [round(value, 3) for value in kl.tolist()]
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(free=free, seed=seed) for seed, free in product(SEEDS, FREE)]
    train = partial(train_with_free_bits, digits=data.load("digits"))
    train_missing(FILE, cells, train, settings=SETTINGS)


if __name__ == "__main__":
    main()
