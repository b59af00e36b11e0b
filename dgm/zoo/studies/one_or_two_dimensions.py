"""Does a WaveNet beat a PixelCNN by its network or its settings? The two exchanged, three seeds.

``python -m dgm.zoo.studies.one_or_two_dimensions`` trains what is not on file yet, a minute of one
core each, and keeps the scores only. The other two of the four cells are recipes of the zoo.
"""

from functools import partial
from itertools import product
from pathlib import Path

from torch import nn

from dgm import data, evaluate, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.entry import start_and_fit
from dgm.zoo.pixel import gated_pixelcnn
from dgm.zoo.sequence import wavenet
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
COMMON = dict(warmup=50, clip_norm=1.0, progress=False)
SETTINGS = {  # of the recipe of the gated PixelCNN in chapter 11, of WaveNet in chapter 12
    "pixel": dict(COMMON, steps=700, batch_size=32, lr=5e-3, weight_decay=0.5, average=0.997),
    "sequence": dict(COMMON, steps=600, batch_size=64, lr=7e-3, weight_decay=1.0, average=0.99),
}
NETWORKS = {
    "wavenet": lambda kind: wavenet(kind, width=72, n_layers=6, dropout=0.3, places=True),
    "gated_pixelcnn": lambda kind: gated_pixelcnn(kind, dropout=0.3, noise=0.1),
}
CELLS = [("gated_pixelcnn", "sequence"), ("wavenet", "pixel")]  # the others are the recipes


def load() -> list[dict]:
    """One dict for each run: network, settings, seed, nats of validation and test, parameters."""
    return read_runs(FILE)


def train_exchanged(network: str, settings: str, seed: int, digits: Dataset) -> dict:
    """Train one network under one recipe's settings and score it."""
    runtime.seed(seed)
    model: nn.Module = NETWORKS[network](digits.kind)
    fitted = start_and_fit(model, digits, seed, **SETTINGS[settings])
    return {
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test).mean, 3),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    order = product(SEEDS, CELLS)
    cells = [dict(network=net, settings=settings, seed=seed) for seed, (net, settings) in order]
    train = partial(train_exchanged, digits=data.load("digits"))
    train_missing(FILE, cells, train, settings=SETTINGS)


if __name__ == "__main__":
    main()
