"""Our attacks beside those of a library, foolbox, on the plain network of 8 by 8 digits.

``pip install foolbox`` and then ``python -m dgm.zoo.studies.library_attacks``: a minute.
The library is needed for this comparison only.
"""

from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm.zoo.attacked import (
    Attacked,
    attacked_classifier,
    attacked_pictures,
    by_decisions,
    by_slope,
    distances,
    starts_for,
)
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
PICTURES, STEPS = 12, 2000


def load() -> list[dict]:
    """One dict for each run: attack, who wrote it, and the distances of the pictures."""
    return read_runs(FILE)


def of_the_library(who: Attacked, attack: str, u: Tensor, y: Tensor, pool: Tensor) -> Tensor:
    """Pictures that foolbox finds."""
    foolbox = import_module("foolbox")  # no dependency of this package

    class Wrapped(nn.Module):
        def forward(self, v: Tensor) -> Tensor:
            return who.logits(v)

    model = foolbox.PyTorchModel(Wrapped().eval(), bounds=(0, 1), device="cpu")
    if attack == "slope":
        fast = foolbox.attacks.L2CarliniWagnerAttack(
            binary_search_steps=6, steps=400, stepsize=0.05, initial_const=0.1
        )
        return fast(model, u, y, epsilons=None)[0]
    walk = foolbox.attacks.BoundaryAttack(steps=STEPS, tensorboard=False)
    return walk(model, u, y, epsilons=None, starting_points=starts_for(who, u, y, pool))[0]


def library_run(attack: str, by: str) -> dict:
    """One cell."""
    who, (u, y) = (
        attacked_classifier("digits", "CNN"),
        attacked_pictures("digits", "test", PICTURES),
    )
    right = who.says(u) == y
    u, y, pool = u[right], y[right], attacked_pictures("digits", "val")[0]
    torch.manual_seed(0)
    if by == "foolbox":
        v = of_the_library(who, attack, u, y, pool)
    elif attack == "slope":
        v = by_slope(who, u, y, steps=400, searches=6)
    else:
        v = by_decisions(who, u, y, pool, STEPS)
    return {"distance": [round(d, 4) for d in distances(u, v).tolist()]}


def main() -> None:
    """Run what is missing."""
    cells = [dict(attack=a, by=b) for a in ("slope", "decisions") for b in ("ours", "foolbox")]
    train_missing(FILE, cells, library_run, pictures=PICTURES, steps=STEPS)


if __name__ == "__main__":
    main()
