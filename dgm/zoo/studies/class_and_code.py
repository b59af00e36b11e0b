"""What the weight of log p(y|z) does to a VAE whose code tells the class, on digits, three seeds.

``python -m dgm.zoo.studies.class_and_code`` trains what is not on file yet, some ten seconds of one
core each, and keeps accuracies and nats only.
"""

from itertools import product
from pathlib import Path

import torch

from dgm import data, evaluate, runtime
from dgm.zoo.hybrid import hybrid_vae
from dgm.zoo.labelled import train_with_labels
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, WEIGHTS = range(3), (0.1, 1.0, 10.0, 100.0, 1000.0)
SIZES = dict(latent_dim=16, width=102, dropout=0.2)
FIT = dict(
    clip_norm=1.0, progress=False, steps=1000, batch_size=64, lr=2e-3, weight_decay=0.1, warmup=50,
    average=0.99, eval_every=100,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each run: weight, seed, accuracies in percent, nats of the test pictures."""
    return read_runs(FILE)


def train_weighted(weight: float, seed: int) -> dict:
    """Train one VAE with this weight, and measure both sides."""
    # train
    digits = data.load("digits")
    runtime.seed(seed)
    model = hybrid_vae(digits.kind, weight=weight, **SIZES)
    model.start_from(digits.train)
    train_with_labels(model, digits, seed, **FIT)
    # both sides
    found = {"parameters": sum(p.numel() for p in model.parameters())}
    for part in ("val", "test"):
        x, y = getattr(digits, part), getattr(digits, f"{part}_y")
        with torch.no_grad():
            right = model.class_posterior(x).logits.argmax(1) == y
        found[f"{part}_accuracy"] = round(100 * right.double().mean().item(), 2)
    found["nats"] = round(evaluate.nats(model, digits.test, repeats=8).mean, 3)
    found["nats_64"] = round(evaluate.nats(model, digits.test, k=64).mean, 3)
    return found


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(weight=w, seed=s) for s, w in product(SEEDS, WEIGHTS)]
    train_missing(FILE, cells, train_weighted, fit=FIT)


if __name__ == "__main__":
    main()
