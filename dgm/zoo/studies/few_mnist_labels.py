"""The classifier of M2 on 100 labels of MNIST alone, what M2 on the same labels is held against.

``python -m dgm.zoo.studies.few_mnist_labels`` trains what is not on file yet, half a minute of one
core each, and keeps errors in percent only.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime
from dgm.distribution.conditional import SoftmaxHead
from dgm.distribution.support import Levels
from dgm.hybrid.semi_supervised import few_labels
from dgm.train import fit
from dgm.zoo.hybrid import M2_MNIST, M2_MNIST_SIZES, classifier_of
from dgm.zoo.labelled import moved_copies
from dgm.zoo.studies.label_counts import error_percent
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, COPIES = range(3), 20_000
SIZES = {key: M2_MNIST_SIZES[key] for key in ("width", "dropout", "channels")}
FIT = dict(steps=600, batch_size=64, lr=1e-3, weight_decay=0.01, warmup=50, average=0.98)


def load() -> list[dict]:
    """One dict for each run: seed, errors of validation and test in percent."""
    return read_runs(FILE)


def train_on_hundred(seed: int) -> dict:
    """Train on moved copies of 100 pictures; kept at the best loss of 1,000 validation pictures."""
    mnist, test = data.load("binary_mnist"), data.load("binary_mnist_test")
    chosen = few_labels(mnist.train_y, M2_MNIST["n_labels"], 10, seed)
    again = chosen.repeat(COPIES // len(chosen))
    x = moved_copies(mnist.train[again], 2, M2_MNIST["shift"], M2_MNIST["turn"], seed)
    runtime.seed(seed)
    net = SoftmaxHead(Levels((), 10), classifier_of(mnist.kind, 10, **SIZES))
    pairs, val = (mnist.kind.scaled(x), mnist.train_y[again]), (mnist.val, mnist.val_y)
    held_out = (mnist.kind.scaled(val[0][:1000]), val[1][:1000])
    fit(net, pairs, val=held_out, seed=seed, eval_every=100, progress=False, **FIT)
    found = {}
    for name, (x, y) in dict(val=val, test=(test.test, test.test_y)).items():
        found[name] = error_percent(_logits(net.eval(), mnist.kind, x), y)
    return found


@torch.no_grad()
def _logits(net: nn.Module, kind: Levels, x: Tensor) -> Tensor:
    """Logits (N, 10) of many pictures, a part at a time."""
    return torch.cat([net(kind.scaled(part)).logits for part in x.split(1000)])


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    train_missing(FILE, [dict(seed=seed) for seed in SEEDS], train_on_hundred, fit=FIT)


if __name__ == "__main__":
    main()
