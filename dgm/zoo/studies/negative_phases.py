"""What an RBM of 12 units learns from which negatives, and what a layer above it adds; three seeds.

``python -m dgm.zoo.studies.negative_phases`` trains what is not on file yet, a minute of one core
for each seed, and keeps the scores only. Every figure is exact: the 4096 states of the twelve units
are summed. Digits of 8 by 8 pixels, a pixel on from level 8.
"""

import time
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, evaluate, runtime
from dgm.distribution.support import Levels
from dgm.energy.dbm import DBM
from dgm.energy.dbn import DBN, SigmoidLayer
from dgm.energy.enumerated_rbm import EnumeratedRBM
from dgm.energy.negative_phase import ContrastiveDivergence, PersistentChains
from dgm.energy.rbm import RBM
from dgm.energy.tempering import ParallelTempering
from dgm.train import fit
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
BITS, HIDDEN, TOP, SEEDS = Levels((1, 8, 8), 2), 12, 64, range(3)
SETTINGS = dict(steps=3000, batch_size=100, lr=0.2, average=0.99, eval_every=3000, progress=False)
NEGATIVES = {  # what is raised while the data are lowered
    "CD-1": lambda: ContrastiveDivergence(1),
    "CD-10": lambda: ContrastiveDivergence(10),
    "PCD": lambda: PersistentChains(64, n_chains=100),
    "tempering": lambda: ParallelTempering(64, n_sets=100, n_betas=5),
}
MODELS = (*NEGATIVES, "exact gradient", "scikit-learn", "DBN", "DBM")


def load() -> list[dict]:
    """One dict for each run: model, seed, exact nats of validation and test, CPU seconds."""
    return read_runs(FILE)


def binary_digits() -> dict[str, Tensor]:
    """Bits (N, 1, 8, 8) of the digits' "train", "val" and "test" parts."""
    grey = data.load("digits")
    return {part: (getattr(grey, part) >= 8).to(torch.uint8) for part in ("train", "val", "test")}


def descend(model: nn.Module, x: Tensor, seed: int) -> None:
    """Train by the settings all share: plain gradient steps with a little momentum."""
    fit(model, x, seed=seed, optimizer=partial(torch.optim.SGD, momentum=0.5), **SETTINGS)


def trained_rbm(x: Tensor, seed: int, negatives: nn.Module) -> EnumeratedRBM:
    """An RBM trained with these negatives, with its exact Z."""
    rbm = RBM(BITS, HIDDEN, negatives)
    rbm.start_from(x)
    descend(rbm, x, seed)
    return EnumeratedRBM(rbm).eval()


def stacked(below: RBM, x: Tensor, seed: int) -> tuple[DBN, DBN]:
    """A DBN on a trained RBM before and after its top is trained on guesses of the units.

    The top starts as the RBM turned round, whose law of the twelve units is the RBM's own, so
    the first one is the RBM itself.
    """
    nets = []
    with torch.no_grad():
        guesses = below.hidden_logits(BITS.rows(x)).sigmoid().repeat(8, 1).bernoulli().long()
    for train in (False, True):
        above = RBM(Levels((HIDDEN,), 2), 64, PersistentChains(HIDDEN))
        above.start_from(guesses)
        with torch.no_grad():
            above.weight.copy_(below.weight.T)
            above.visible_bias.copy_(below.hidden_bias)
            above.hidden_bias.copy_(below.visible_bias)
        if train:
            descend(above, guesses, seed)
        layer = SigmoidLayer(64, HIDDEN).copy_of(below)
        nets.append(DBN(BITS, [layer], EnumeratedRBM(above)).eval())
    return nets[0], nets[1]


@torch.no_grad()
def exact_nats(net: DBN, x: Tensor) -> float:
    """Mean -log p(x) of a DBN with one layer, by the sum over all states of its units."""
    states = torch.cartesian_prod(*[torch.arange(2)] * HIDDEN)  # (4096, 12)
    log_h, logits = net.top.log_prob(states), net.layers[0].down(states.float())
    v = BITS.rows(x)
    log_v = v @ logits.T - nn.functional.softplus(logits).sum(1)  # (B, 4096)
    return -(log_v + log_h).logsumexp(1).mean().item()


def by_scikit_learn(x: Tensor, seed: int) -> EnumeratedRBM:
    """Its BernoulliRBM, settings chosen on validation nats (benchmarks/energy.py)."""
    from sklearn.neural_network import BernoulliRBM

    theirs = BernoulliRBM(HIDDEN, learning_rate=0.1, batch_size=100, n_iter=400, random_state=seed)
    theirs.fit(x.flatten(1).double().numpy())
    rbm = RBM(BITS, HIDDEN, ContrastiveDivergence(1))
    with torch.no_grad():
        rbm.weight.copy_(torch.from_numpy(theirs.components_.T))
        rbm.visible_bias.copy_(torch.from_numpy(theirs.intercept_visible_))
        rbm.hidden_bias.copy_(torch.from_numpy(theirs.intercept_hidden_))
    return EnumeratedRBM(rbm).eval()


def train_and_score(name: str, seed: int, bits: dict[str, Tensor]) -> dict:
    """Train one model under one seed and score it."""
    runtime.seed(seed)
    x, parts, begun, bounds = bits["train"], ("train", "val", "test"), time.process_time(), {}
    if name in NEGATIVES:
        model = trained_rbm(x, seed, NEGATIVES[name]())
    elif name == "scikit-learn":
        model = by_scikit_learn(x, seed)
    elif name == "DBN":
        before, model = stacked(trained_rbm(x, seed, NEGATIVES["PCD"]()).rbm, x, seed)
        for when, net in (("before", before), ("after", model)):
            for part in ("train", "test"):
                bound = evaluate.nats(net, bits[part], repeats=64).mean
                bounds[f"bound_{part}_{when}"] = round(bound, 3)
    else:
        rbm = RBM(BITS, HIDDEN, ContrastiveDivergence(1))
        model = DBM(BITS, HIDDEN, TOP) if name == "DBM" else EnumeratedRBM(rbm)
        model.start_from(x)
        descend(model, x, seed)
    seconds = time.process_time() - begun
    # exact scores
    score = exact_nats if name == "DBN" else lambda m, x: evaluate.nats(m, x).mean
    scores = {part: round(score(model, bits[part]), 3) for part in parts}
    return {"model": name, "seed": seed} | scores | bounds | {"seconds": round(seconds, 1)}


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(model=name, seed=seed) for seed, name in product(SEEDS, MODELS)]
    bits = binary_digits()
    train_missing(
        FILE, cells, lambda model, seed: train_and_score(model, seed, bits), settings=SETTINGS
    )


if __name__ == "__main__":
    main()
