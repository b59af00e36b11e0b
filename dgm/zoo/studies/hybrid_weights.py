"""What the weight of log p(x) does to hybrid flows of four bodies with as many parameters.

The table of Perugachi-Diaz et al. (2021) at the size of 8 by 8 digits, three seeds.
``python -m dgm.zoo.studies.hybrid_weights`` trains what is not on file yet, some fifteen seconds of
one core each, and keeps accuracies and nats only.
"""

from itertools import product
from pathlib import Path

import torch

from dgm import data, evaluate, runtime
from dgm.train import fit
from dgm.zoo import hybrid
from dgm.zoo.hybrid import COUPLING_SIZES, FLOW_FIT
from dgm.zoo.studies import judges
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
BODIES = {  # builder and sizes, 147 thousand parameters each
    "coupling": ("hybrid_coupling", COUPLING_SIZES | dict(width=112, mixing=False)),
    "+ 1x1": ("hybrid_coupling", COUPLING_SIZES),
    "residual": ("hybrid_residual", dict(width=201)),
    "dense": ("hybrid_dense", dict(grown=46)),
}
OF_TABLE = (0.0, 1 / 64, 1.0)
CURVE = (0.0, 0.001, 1 / 64, 0.1, 1.0, 10.0)  # of "+ 1x1" alone


def load() -> list[dict]:
    """One dict for each run: body, weight, seed, accuracies in percent, test nats, distance."""
    return read_runs(FILE)


def train_hybrid(body: str, weight: float, seed: int) -> dict:
    """Train one body under one weight; without a weight log p(x) is not looked at."""
    # train
    digits = data.load("digits")
    runtime.seed(seed)
    builder, sizes = BODIES[body]
    model = getattr(hybrid, builder)(digits.kind, weight=weight, **sizes)
    pairs, val = (digits.train, digits.train_y), (digits.val, digits.val_y)
    fit(model, pairs, val=val, seed=seed, **FLOW_FIT)
    # both sides
    found = {"parameters": sum(p.numel() for p in model.parameters())}
    for part in ("val", "test"):
        x, y = getattr(digits, part), getattr(digits, f"{part}_y")
        with torch.no_grad():
            right = model.posterior(x).logits.argmax(1) == y
        found[f"{part}_accuracy"] = round(100 * right.double().mean().item(), 2)
    if weight:
        found["nats"] = round(evaluate.nats(model, digits.test, repeats=4).mean, 3)
        found["frechet"] = round(judges.distance_to(digits.test, "digits")(model), 2)
    return found


def main() -> None:
    """Train what is not on file yet, the table first, seed by seed."""
    cells = [*product(BODIES, OF_TABLE), *(("+ 1x1", w) for w in CURVE if w not in OF_TABLE)]
    cells = [dict(body=b, weight=w, seed=seed) for seed in SEEDS for b, w in cells]
    train_missing(FILE, cells, train_hybrid, fit=FLOW_FIT)


if __name__ == "__main__":
    main()
