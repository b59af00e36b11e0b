"""Draws of models that also classify 8 by 8 digits, and of a GAN, before the standing judge.

``python -m dgm.zoo.studies.hybrid_draws`` trains what is not stored, and keeps accuracy, Frechet
distance and class score of four times a thousand draws. The joint energy model, its classifier and
the GAN, which take longest, are judged once, as they are stored.
"""

from pathlib import Path

import torch
from torch import nn

from dgm import data, runtime, zoo
from dgm.evaluate import measuring
from dgm.measure.drawing_cost import class_score
from dgm.measure.frechet import frechet_distance
from dgm.train import fit
from dgm.zoo import hybrid
from dgm.zoo.hybrid import COUPLING_SIZES, FLOW_FIT
from dgm.zoo.studies import judges
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.train import train

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
STORED = {  # what the chapter calls it: system, recipe
    "GAN": ("relativistic_gan", "digits"),
    "M2": ("m2", "digits"),
    "classifier": ("jem", "digits_plain"),
    "JEM": ("jem", "digits"),
}
ONCE = ("classifier", "JEM", "GAN")
WEIGHTS = {"hybrid flow, 1": 1.0, "hybrid flow, 1/D": 1 / 64}  # of log p(x) in the loss
REPEATS, DRAWN = 4, 1000


def load() -> list[dict]:
    """One dict for each run: system, seed, accuracy (None of a GAN), frechet, score, spread."""
    return read_runs(FILE)


def hybrid_flow(weight: float, seed: int) -> nn.Module:
    """The coupling flow with a matrix before each coupling, as `hybrid_weights` trains it."""
    digits = data.load("digits")
    runtime.seed(seed)
    model = hybrid.hybrid_coupling(digits.kind, weight=weight, **COUPLING_SIZES)
    pairs, val = (digits.train, digits.train_y), (digits.val, digits.val_y)
    fit(model, pairs, val=val, seed=seed, **FLOW_FIT)
    return model.eval()


def of_system(system: str, seed: int) -> nn.Module:
    """The model: as stored where it is, else trained."""
    if system in WEIGHTS:
        return hybrid_flow(WEIGHTS[system], seed)
    name, recipe = STORED[system]
    return zoo.load(name, recipe) if seed == 0 else train(zoo.get(name), recipe, seed)[0].eval()


@torch.no_grad()
def accuracy_of(model: nn.Module) -> float | None:
    """Share of test digits whose class p(y | x) gets right; None where there is none."""
    digits = data.load("digits")
    if not hasattr(model, "posterior"):
        return None
    right = model.posterior(digits.test).logits.argmax(1) == digits.test_y
    return round(right.double().mean().item(), 4)


def judged_sets(model: nn.Module) -> dict:
    """Frechet distance and class score of draws, means over sets of draws, and their deviations."""
    judge, found = judges.load("digits"), []
    real = judges.features(judges.truth_of("digits"), "digits")
    with measuring(model, 1):
        for _ in range(REPEATS):
            x = model.sample(DRAWN)
            score = class_score(judge(x))
            found.append((frechet_distance(judges.features(x, "digits"), real), score))
    table = torch.tensor(found, dtype=torch.float64)
    means, spreads = table.mean(0).tolist(), table.std(0).tolist()
    keys = ("frechet", "score", "frechet_spread", "score_spread")
    return {key: round(v, 3) for key, v in zip(keys, (*means, *spreads), strict=True)}


def one_judged(system: str, seed: int) -> dict:
    """Train or load one system, and judge it."""
    model = of_system(system, seed)
    return {"accuracy": accuracy_of(model)} | judged_sets(model)


def main() -> None:
    """Judge what is missing."""
    cells = [dict(system=s, seed=0) for s in (*STORED, *WEIGHTS)]
    more = [s for s in (*WEIGHTS, *STORED) if s not in ONCE]
    cells += [dict(system=s, seed=seed) for seed in SEEDS[1:] for s in more]
    train_missing(FILE, cells, one_judged, repeats=REPEATS, drawn=DRAWN)


if __name__ == "__main__":
    main()
