"""What a penalty on the largest singular values does to a small NVAE: three weights, three seeds.

``python -m dgm.zoo.studies.spectral_penalty`` trains what is not on file yet, a quarter of a minute
of one core each, and keeps the scores only.
"""

from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.hierarchical import nvae, train_hierarchy
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
WEIGHTS = (0.0, 0.003, 0.03)
SIZES = dict(sides=(1, 4), channels=(8, 4), width=16)
SETTINGS = dict(warm=150, steps=250, lr=4e-3)


def load() -> list[dict]:
    """One dict for each run: weight, seed, nats of the bound, KL of each layer, singular values."""
    return read_runs(FILE)


def largest_values(model: nn.Module) -> Tensor:
    """The largest singular value of every linear map and convolution, as the penalty has it."""
    maps = [m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return torch.stack([torch.linalg.matrix_norm(w.detach().flatten(1), 2) for w in maps])


def train_penalised(weight: float, seed: int, digits: Dataset) -> dict:
    """Train one NVAE and score it: the bound knows no penalty."""
    runtime.seed(seed)
    model = nvae(digits.kind, **SIZES, spectral=weight)
    train_hierarchy(model, digits, seed, **SETTINGS)
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
    cells = [dict(weight=weight, seed=seed) for seed, weight in product(SEEDS, WEIGHTS)]
    train = partial(train_penalised, digits=data.load("digits"))
    train_missing(FILE, cells, train, settings=SETTINGS)


if __name__ == "__main__":
    main()
