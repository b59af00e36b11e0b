"""Does a WaveNet beat a PixelCNN by its network or its settings? The two exchanged, three seeds.

``python -m dgm.zoo.studies.one_or_two_dimensions`` trains what is not on file yet, a minute of one
core each, and keeps the scores only. The other two of the four cells are recipes of the zoo.
"""

import json
from itertools import product
from pathlib import Path

from torch import nn

from dgm import data, evaluate, results, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.entry import start_and_fit
from dgm.zoo.pixel import gated_pixelcnn
from dgm.zoo.sequence import wavenet

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
    return json.loads(FILE.read_text(encoding="utf-8"))["runs"]


def train_exchanged(network: str, settings: str, seed: int, digits: Dataset) -> dict:
    """Train one network under one recipe's settings and score it."""
    runtime.seed(seed)
    model: nn.Module = NETWORKS[network](digits.kind)
    fitted = start_and_fit(model, digits, seed, **SETTINGS[settings])
    return {
        "network": network,
        "settings": settings,
        "seed": seed,
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test).mean, 3),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Run what is missing, seed by seed, and write after each run."""
    digits, runs = data.load("digits"), load() if FILE.exists() else []
    done = {(r["network"], r["settings"], r["seed"]) for r in runs}
    for seed, cell in product(SEEDS, CELLS):
        if (*cell, seed) not in done:
            runs.append(train_exchanged(*cell, seed, digits))
            print(runs[-1], flush=True)
            lines = ",\n  ".join(map(json.dumps, runs))
            head = f'"settings": {json.dumps(SETTINGS)},\n "hardware": "{results.hardware()}"'
            FILE.write_text(f'{{{head},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
