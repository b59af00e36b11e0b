"""Two terms that only the loss knows, alone: free bits, and a penalty on singular values.

``python -m dgm.zoo.studies.free_bits_or_norms`` trains what is not on file yet, ten to twenty
seconds of one core each, three seeds, and keeps the scores only. Free bits: a plain top-down chain,
none, in the first 200 steps, throughout. Penalty: a small NVAE under three weights of it.
"""

from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.hierarchical.top_down import TopDown
from dgm.train import fit
from dgm.train.jitter import Jitter
from dgm.zoo.hierarchical import layers_of_numbers, nvae, train_hierarchy
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
FREE = {"none": (0.0, 0.0), "at first": (2.0, 0.0), "throughout": (2.0, 2.0)}  # nats of a layer
PENALTIES = (0.0, 0.003, 0.03)
CELLS = [*product(("free bits",), FREE), *product(("penalty",), PENALTIES)]
MAPS = dict(sides=(1, 4), channels=(8, 4), width=16)
SETTINGS = dict(warm=200, steps=450)  # of the chain
NVAE_SETTINGS = dict(warm=150, steps=250, lr=4e-3)


def load() -> list[dict]:
    """One dict for each run: part, value, seed, nats, KL of each layer, largest singular values."""
    return read_runs(FILE)


def train_with_free_bits(model: TopDown, digits: Dataset, seed: int, value: str) -> None:
    """Train on the bound from the first step on, charged for all nats but the free ones."""
    model.start_from(digits.train)
    warm, steps = SETTINGS["warm"], SETTINGS["steps"]
    jitter = dict(levels=digits.levels, until=warm + steps, shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False)
    model.free_bits, then = FREE[value]
    begin = dict(steps=warm, schedule="constant", seed=seed, augment=Jitter(**jitter))
    fit(model, digits.train, **begin, **common)
    model.free_bits = then
    rest = dict(steps=steps, average=0.998, warmup=50, seed=seed + 1000)
    fit(model, digits, augment=Jitter(**jitter, done=warm), **rest, **common)


def largest_values(model: TopDown) -> Tensor:
    """The largest singular value of every linear map and convolution, as the penalty has it."""
    maps = [m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return torch.stack([torch.linalg.matrix_norm(w.detach().flatten(1), 2) for w in maps])


def train_term(part: str, value: str | float, seed: int, digits: Dataset) -> dict:
    """Train one cell and score it: the bound pays for all nats, and knows no penalty."""
    runtime.seed(seed)
    if part == "free bits":
        model = layers_of_numbers(digits.kind)
        train_with_free_bits(model, digits, seed, value)
    else:
        model = nvae(digits.kind, **MAPS, spectral=value)
        train_hierarchy(model, digits, seed, **NVAE_SETTINGS)
    with evaluate.measuring(model, 0):
        kl = sum(model.layer_kl(digits.test).mean(0) for _ in range(8)) / 8
    nats = {s: evaluate.nats(model, getattr(digits, s), repeats=8).mean for s in ("val", "test")}
    return {
        **{name: round(value, 3) for name, value in nats.items()},
        "kl": [round(value, 3) for value in kl.tolist()],
        "largest": round(largest_values(model).mean().item(), 3),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    order = product(SEEDS, CELLS)
    cells = [dict(part=part, value=value, seed=seed) for seed, (part, value) in order]
    train = partial(train_term, digits=data.load("digits"))
    train_missing(FILE, cells, train, chain=SETTINGS, nvae=NVAE_SETTINGS)


if __name__ == "__main__":
    main()
