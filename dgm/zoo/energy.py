"""The machines of chapter 17: bits with energies, their Z summed or annealed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from dgm import evaluate
from dgm.distribution.support import Levels
from dgm.energy.annealed_rbm import AnnealedRBM
from dgm.energy.boltzmann_machine import BoltzmannMachine
from dgm.energy.dbm import DBM
from dgm.energy.dbn import DBN, SigmoidLayer
from dgm.energy.enumerated_rbm import EnumeratedRBM
from dgm.energy.negative_phase import PersistentChains
from dgm.energy.rbm import RBM
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "17_classical_energy"
BRANCH = ("explicit", "unnormalised", "energy")


def boltzmann_machine(data: Levels, sweeps: int = 100) -> BoltzmannMachine:
    """Boltzmann machine: a weight between every two of at most 16 bits, learned exactly."""
    return BoltzmannMachine(data, sweeps)


def small_rbm(
    data: Levels, hidden: int = 16, n_chains: int = 100, sweeps: int = 1
) -> EnumeratedRBM:
    """RBM of few units: its smaller side is summed, so Z, nats and draws are exact."""
    negatives = PersistentChains(getattr(data, "dims", 1), n_chains, sweeps)
    return EnumeratedRBM(RBM(data, hidden, negatives))


def rbm(data: Levels, hidden: int = 500, n_chains: int = 100, steps: int = 300) -> AnnealedRBM:
    """RBM: persistent chains to train it, annealing to draw from it and to bound its nats."""
    negatives = PersistentChains(getattr(data, "dims", 1), n_chains)
    return AnnealedRBM(RBM(data, hidden, negatives), steps)


def dbn(data: Levels, hidden: int = 12, top: int = 20) -> DBN:
    """Deep belief network: one layer that points down, under an RBM whose Z is summed."""
    layer = SigmoidLayer(getattr(data, "dims", 1), hidden)
    above = RBM(Levels((hidden,), 2), top, PersistentChains(hidden))
    return DBN(data, [layer], EnumeratedRBM(above))


def dbm(data: Levels, hidden: int = 12, top: int = 20) -> DBM:
    """Deep Boltzmann machine: two hidden layers, the states of the first one summed."""
    return DBM(data, hidden, top)


def train_rbm(
    model: AnnealedRBM | EnumeratedRBM, dataset: Any, seed: int, *, held_out: int | None = None,
    **settings: Any,
) -> Fit:  # fmt: skip
    """Start at the pixels' frequencies, train by the surrogate, score validation nats at the end.

    The surrogate says nothing of progress, so it is not validated: the last weights are kept.
    """
    model.start_from(dataset.train)
    fitted = fit(model.rbm, dataset.train, seed=seed, **settings)
    score = evaluate.nats(model, dataset.val[:held_out], repeats=4 if held_out else 1)
    return replace(fitted, best_val=score.mean)


_ACKLEY = ("Ackley, Hinton, Sejnowski (1985)", "https://doi.org/10.1207/s15516709cog0901_7")
_SMOLENSKY = ("Smolensky (1986), Hinton (2002)", "https://doi.org/10.1162/089976602760128018")
_TIELEMAN = ("Tieleman (2008)", "https://doi.org/10.1145/1390156.1390290")
_HINTON = ("Hinton, Osindero, Teh (2006)", "https://doi.org/10.1162/neco.2006.18.7.1527")
_DEEP = ("Salakhutdinov, Hinton (2009)", "https://proceedings.mlr.press/v5/salakhutdinov09a.html")
_BITS = Levels((1, 2, 2), 2)
_MNIST = Recipe(
    dict(hidden=500, n_chains=100, steps=60),
    dict(steps=45_000, batch_size=100, lr=0.05, optimizer=partial(torch.optim.SGD, momentum=0.5),
         average=0.998, eval_every=5000, held_out=100, progress=False),
    train_rbm,
)  # fmt: skip

ENTRIES = (
    Entry(boltzmann_machine, "E6 E2", _ACKLEY, Tiny(_BITS, std=0.5)),
    Entry(small_rbm, "E4 E1", _SMOLENSKY, Tiny(_BITS, dict(hidden=3, n_chains=8), std=0.5)),
    Entry(
        rbm,
        "E4",
        _TIELEMAN,
        Tiny(_BITS, dict(hidden=3, n_chains=8, steps=12), std=0.5),
        {"binary_mnist": _MNIST},
    ),
    Entry(dbn, "E7", _HINTON, Tiny(_BITS, dict(hidden=3, top=5), std=0.5)),
    Entry(dbm, "E7", _DEEP, Tiny(_BITS, dict(hidden=3, top=5), std=0.5)),
)
