"""How many codes should there be? One VQ-VAE on the digits with 2 to 32 codes, three seeds each.

``python -m dgm.zoo.studies.code_sizes`` trains what is not on file yet, fifteen seconds of one core
each, and keeps the scores only.
"""

from functools import partial
from itertools import product
from pathlib import Path

import torch

from dgm import data, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.discrete import train_two_stages, vq_vae
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SIZES = (2, 4, 8, 16, 32)
FIT = dict(
    steps=900, lr=4e-3, weight_decay=0.1, average=0.99, shift=0.3, turn=0.1, copies=9, warmup=50,
    prior=dict(steps=250, lr=6e-3, weight_decay=0.3), clip_norm=1.0, progress=False,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each run: codes, seed, test nats of the codes and of the pixels given them."""
    return read_runs(FILE)


def train_sized(n_codes: int, seed: int, digits: Dataset) -> dict:
    """Train one size and score both parts of its bound."""
    runtime.seed(seed)
    sizes = dict(dropout=0.2, prior_width=24, prior_blocks=2, prior_dropout=0.2, noise=0.1)
    model = vq_vae(digits.kind, n_codes=n_codes, **sizes)
    fitted = train_two_stages(model, digits, seed, **FIT)
    with torch.no_grad():
        terms = model.terms(digits.test)
    return {
        "val": round(fitted.best_val, 3),
        "codes": round(terms["kl"].mean().item(), 3),
        "decoder": round(-terms["reconstruction"].mean().item(), 3),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(n_codes=size, seed=seed) for seed, size in product(SEEDS, SIZES)]
    train_missing(FILE, cells, partial(train_sized, digits=data.load("digits")))


if __name__ == "__main__":
    main()
