"""Before any attack: accuracy and nats of four classifiers of 8 by 8 digits, three seeds each.

``python -m dgm.zoo.studies.clean_digits`` trains what is not on file, a hundred seconds of one core
a flow and a few for the others. The plain network was trained for chapter 20, see `joint_or_plain`.
"""

from pathlib import Path

import torch

from dgm import data, zoo
from dgm.evaluate import nats
from dgm.zoo import weights
from dgm.zoo.studies import joint_or_plain
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.train import train

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
TRAINED = {
    "reweighted": ("class_flow", "digits"),
    "split": ("class_flow", "digits_split"),
    "ABS": ("analysis_by_synthesis", "digits"),
}


def load() -> list[dict]:
    """One dict for each run: system, seed, accuracy on test digits, test nats if there are any."""
    return read_runs(FILE)


@torch.no_grad()
def said_right(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of pictures x (N, *shape) whose class has the largest p(y | x)."""
    said = torch.cat([model.posterior(part).logits.argmax(1) for part in x.split(250)])
    return (said == y).double().mean().item()


def clean_run(system: str, seed: int) -> dict:
    """Train one cell, round it as it would be stored, and measure it."""
    if system == "plain":
        runs = joint_or_plain.load()
        wanted = dict(recipe="plain", seed=seed)
        return {"accuracy": next(r["accuracy"] for r in runs if wanted.items() <= r.items())}
    name, recipe = TRAINED[system]
    if seed == 0:  # the stored weights are those of seed 0
        model, header = zoo.load(name, recipe), zoo.header(name, recipe)
    else:
        model, header = train(zoo.get(name), recipe, seed)
        model.load_state_dict(weights.unpacked(weights.rounded(model)))
    digits = data.load("digits")
    found = {"seconds": header["train_seconds"]}
    found["accuracy"] = said_right(model.eval(), digits.test, digits.test_y)
    if hasattr(model, "elbo"):
        found["nats"] = round(nats(model, digits.test, repeats=4).mean, 2)
    return found


def main() -> None:
    """Train what is missing."""
    cells = [dict(system=name, seed=seed) for name in ("plain", *TRAINED) for seed in SEEDS]
    train_missing(FILE, cells, clean_run)


if __name__ == "__main__":
    main()
