"""What the parts of Flow++ are worth on the digits: one backbone, every cell trained, three seeds.

``python -m dgm.zoo.studies.flow_ablation`` trains what is not on file yet, about a minute and a
half of one core each, and keeps the scores only.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

from torch import nn

from dgm import data, evaluate, runtime
from dgm.distribution.support import Levels
from dgm.flow.coupling import AdditiveCoupling
from dgm.flow.dequantize import Dequantize
from dgm.zoo import flow
from dgm.zoo.dequantised import over_normal
from dgm.zoo.entry import start_and_fit
from dgm.zoo.flow import DIGITS_FIT
from dgm.zoo.studies.runs import read_runs, train_missing


def _additive(net: Callable[[int, int], nn.Module], channels: int) -> nn.Module:
    return AdditiveCoupling(net(channels // 2, channels // 2))


COUPLINGS = dict(additive=_additive, affine=flow._affine, mixture=partial(flow._mixture, 4, 3.0))
FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
# coupling, learned noise, 1x1 convolution; without the last only the swap of halves mixes channels
CELLS = [*product(COUPLINGS, (False, True), (True,))]
CELLS += [("affine", False, False), ("mixture", True, False)]


def coupling_ablation(
    kind: Levels, coupling: str, learned_noise: bool, mixing: bool, dropout: float = 0.2
) -> Dequantize:
    """Flow++ as on the digits with parts exchanged: its coupling, noise, 1x1 convolutions.

    With ``("mixture", True, True)`` it is that Flow++; with ``("affine", False, True)`` a Glow.
    """
    if coupling not in COUPLINGS:
        raise ValueError(f"coupling must be one of {', '.join(COUPLINGS)}, got {coupling!r}")
    layers = flow._glow_layers(kind, (4, 4), 32, dropout, COUPLINGS[coupling], mixing)
    return over_normal(kind, layers, False, 64 if learned_noise else 0, dropout)


def load() -> list[dict]:
    """One dict for each run: the cell, seed, nats of validation and test, parameters."""
    return read_runs(FILE)


def train_ablated(coupling: str, learned_noise: bool, mixing: bool, seed: int) -> dict:
    """Train one cell by the recipe of Flow++ on the digits and score it."""
    digits = data.load("digits")
    runtime.seed(seed)
    model = coupling_ablation(digits.kind, coupling, learned_noise, mixing)
    fitted = start_and_fit(model, digits, seed, **DIGITS_FIT)
    score = evaluate.nats(model.eval(), digits.test, repeats=8)
    return {
        "val": round(fitted.best_val, 3),
        "test": round(score.mean, 3),
        "test_64": round(evaluate.nats(model, digits.test, k=64).mean, 3),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    names = ("coupling", "learned_noise", "mixing", "seed")
    cells = [dict(zip(names, (*cell, seed), strict=True)) for seed, cell in product(SEEDS, CELLS)]
    train_missing(FILE, cells, train_ablated, fit=DIGITS_FIT)


if __name__ == "__main__":
    main()
