"""Which layers of a VAE are used: draws on the way up or down, a chain or a state; three seeds.

``python -m dgm.zoo.studies.inference_direction`` trains what is not on file yet, ten seconds of one
core each, and keeps the scores only: the nats, and the KL of each layer.
"""

import json
from itertools import product
from pathlib import Path

from dgm import data, evaluate, results, runtime
from dgm.data.dataset import Dataset
from dgm.zoo.hierarchical import layers_of_numbers, train_hierarchy

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SETTINGS = dict(steps=500, warm=150)
CELLS = list(product((True, False), (False, True)))  # rises, keeps


def load() -> list[dict]:
    """One dict for each run: the cell, seed, nats of validation and test, KL of each layer."""
    return json.loads(FILE.read_text(encoding="utf-8"))["runs"]


def train_directed(rises: bool, keeps: bool, seed: int, digits: Dataset) -> dict:
    """Train one cell and score it."""
    runtime.seed(seed)
    model = layers_of_numbers(digits.kind, rises=rises, keeps=keeps)
    fitted = train_hierarchy(model, digits, seed, **SETTINGS)
    with evaluate.measuring(model, 0):
        kl = sum(model.layer_kl(digits.test).mean(0) for _ in range(8)) / 8
    return {
        "rises": rises,
        "keeps": keeps,
        "seed": seed,
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test, repeats=8).mean, 3),
        "kl": [round(value, 3) for value in kl.tolist()],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    """Run what is missing, seed by seed, and write after each run."""
    digits, runs = data.load("digits"), load() if FILE.exists() else []
    done = {(r["rises"], r["keeps"], r["seed"]) for r in runs}
    for seed, cell in product(SEEDS, CELLS):
        if (*cell, seed) not in done:
            runs.append(train_directed(*cell, seed, digits))
            print(runs[-1], flush=True)
            lines = ",\n  ".join(map(json.dumps, runs))
            head = f'"settings": {json.dumps(SETTINGS)},\n "hardware": "{results.hardware()}"'
            FILE.write_text(f'{{{head},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
