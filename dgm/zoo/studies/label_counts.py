"""How many labels M2 needs on the digits, beside its classifier trained on the same labels alone,
and beside M1+M2, an M2 of the codes of chapter 5's VAE.

``python -m dgm.zoo.studies.label_counts`` trains what is not on file yet, some fifteen seconds of
one core each, and keeps errors in percent only.
"""

from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, evaluate, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.distribution.conditional import SoftmaxHead
from dgm.distribution.support import Levels
from dgm.hybrid.semi_supervised import few_labels
from dgm.train import fit
from dgm.zoo.hybrid import M2_FIT, M2_SIZES, classifier_of, m2
from dgm.zoo.labelled import moved_copies, train_semi
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, COUNTS = range(3), (20, 50, 100, 300, 1000)
METHODS = ("M2", "classifier alone", "M1+M2")
AT_ONCE = "M2 at once"  # with 100 labels: the classifier does not wait for the decoder
AT_ONCE_FIT = M2_FIT | dict(settle=0, steps=M2_FIT["settle"] + M2_FIT["steps"])
CODES_FIT = M2_FIT | dict(shift=0.0, turn=0.0)  # a code cannot be moved as a picture can
ALONE = {key: M2_FIT[key] for key in ("batch_size", "lr", "weight_decay", "warmup")}
ALONE["steps"] = M2_FIT["warm"] + M2_FIT["steps"]  # those in which M2 sees labels


def load() -> list[dict]:
    """One dict for each run: method, labels, seed, errors of validation and test in percent."""
    return read_runs(FILE)


@torch.no_grad()
def error_percent(said: Tensor, y: Tensor) -> float:
    """Share of wrong classes, in percent, of logits or probabilities (N, K)."""
    return round(100 * (said.argmax(1) != y).double().mean().item(), 2)


def train_alone(digits: Dataset, n_labels: int, seed: int, widths: dict) -> nn.Module:
    """M2's classifier on as many moved pictures and steps, kept at its best validation loss."""
    chosen = few_labels(digits.train_y, n_labels, 10, seed)
    again = chosen.repeat(-(-len(digits.train) // n_labels))[: len(digits.train)]
    x = moved_copies(digits.train[again], digits.levels, M2_FIT["shift"], M2_FIT["turn"], seed)
    net = SoftmaxHead(Levels((), 10), classifier_of(digits.kind, 10, **widths))
    pairs = (digits.kind.scaled(x), digits.train_y[again])
    val = (digits.kind.scaled(digits.val), digits.val_y)
    fit(net, pairs, val=val, seed=seed, eval_every=50, average=0.98, progress=False, **ALONE)
    return net


@torch.no_grad()
def codes_of_m1(digits: Dataset) -> Dataset:
    """The digits as means of q(z|x) of chapter 5's VAE, which saw no label; standardised."""
    m1, parts = zoo.load("vae", "digits"), {}
    for part in ("train", "val", "test"):
        parts[part] = m1.posterior(getattr(digits, part)).mean
        parts[f"{part}_y"] = getattr(digits, f"{part}_y")
    spread, mean = torch.std_mean(parts["train"], 0)
    for part in ("train", "val", "test"):
        parts[part] = (parts[part] - mean) / spread
    size = parts["train"].shape[1:]
    return Dataset(name="codes", shape=tuple(size), levels=None, source="chapter 5", **parts)


def train_with(method: str, labels: int, seed: int) -> dict:
    """Train one of the methods with so many labels, and count what it gets wrong."""
    digits, found = data.load("digits"), {}
    runtime.seed(seed)
    if method in ("M2", AT_ONCE):
        model = m2(digits.kind, **M2_SIZES)
        settings = M2_FIT if method == "M2" else AT_ONCE_FIT
        train_semi(model, digits, seed, n_labels=labels, **settings)
        said = model.posterior
    elif method == "M1+M2":
        digits = codes_of_m1(digits)
        model = m2(digits.kind, **M2_SIZES)
        train_semi(model, digits, seed, n_labels=labels, **CODES_FIT)
        said = model.posterior
    else:
        widths = {key: M2_SIZES[key] for key in ("width", "dropout")}
        model = train_alone(digits, labels, seed, widths).eval()
        said = lambda x: model(digits.kind.scaled(x))  # noqa: E731
    for part in ("val", "test"):
        x, y = getattr(digits, part), getattr(digits, f"{part}_y")
        with torch.no_grad():
            found[part] = error_percent(said(x).logits, y)
    if method in ("M2", AT_ONCE):
        found["nats"] = round(evaluate.nats(model, digits.test, repeats=4).mean, 3)
    return found


def main() -> None:
    """Train what is not on file yet, 100 labels first."""
    counts = sorted(COUNTS, key=lambda n: n != 100)
    cells = [dict(method=m, labels=n, seed=s) for n, s, m in product(counts, SEEDS, METHODS)]
    cells += [dict(method=AT_ONCE, labels=100, seed=seed) for seed in SEEDS]
    train_missing(FILE, cells, train_with, fit=M2_FIT)


if __name__ == "__main__":
    main()
