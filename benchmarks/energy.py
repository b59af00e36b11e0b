"""Restricted Boltzmann machines of this package against scikit-learn's, in processor time.

Binary digits of 8 by 8 pixels, 12 hidden units, so that log Z is a sum and every nat exact. Theirs
is `BernoulliRBM` (persistent chains, plain steps) with the settings that did best on validation
digits among those of ``GRID``. Ours are persistent chains too, by `dgm.train.fit`, for ``STEPS``
gradient steps. Both sides train under three seeds, take turns, in one process and one thread.

    python benchmarks/energy.py          # about a minute; writes energy.json
"""

import json
import os
import platform
import statistics
import time
from functools import partial
from itertools import product
from pathlib import Path

import sklearn
import torch
from sklearn.neural_network import BernoulliRBM

from dgm import evaluate, runtime
from dgm.energy.enumerated_rbm import EnumeratedRBM
from dgm.energy.negative_phase import ContrastiveDivergence, PersistentChains
from dgm.energy.rbm import RBM
from dgm.train import fit
from dgm.zoo.studies.negative_phases import BITS, HIDDEN, binary_digits

GRID = list(product((0.05, 0.1, 0.2, 0.4), (10, 100)))  # learning rate, batch size
EPOCHS, STEPS = 400, 500


def theirs(x: torch.Tensor, seed: int, rate: float, batch: int) -> tuple[EnumeratedRBM, float]:
    """Their machine with our sums, and the processor seconds of its training."""
    rows = x.flatten(1).double().numpy()
    settings = dict(learning_rate=rate, batch_size=batch, n_iter=EPOCHS, random_state=seed)
    begun = time.process_time()
    trained = BernoulliRBM(HIDDEN, **settings).fit(rows)
    seconds = time.process_time() - begun
    rbm = RBM(BITS, HIDDEN, ContrastiveDivergence(1))
    with torch.no_grad():
        rbm.weight.copy_(torch.from_numpy(trained.components_.T))
        rbm.visible_bias.copy_(torch.from_numpy(trained.intercept_visible_))
        rbm.hidden_bias.copy_(torch.from_numpy(trained.intercept_hidden_))
    return EnumeratedRBM(rbm).eval(), seconds


def ours(x: torch.Tensor, seed: int) -> tuple[EnumeratedRBM, float]:
    """Our machine, and the processor seconds of its training."""
    runtime.seed(seed)
    rbm = RBM(BITS, HIDDEN, PersistentChains(BITS.dims, n_chains=100))
    momentum = partial(torch.optim.SGD, momentum=0.5)
    settings = dict(steps=STEPS, batch_size=100, lr=0.5, average=0.98, eval_every=STEPS)
    begun = time.process_time()
    rbm.start_from(x)
    fit(rbm, x, seed=seed, optimizer=momentum, progress=False, **settings)
    return EnumeratedRBM(rbm).eval(), time.process_time() - begun


def main() -> None:
    """Choose their settings, race, print and write."""
    torch.set_num_threads(1)
    bits = binary_digits()
    # their settings, on validation digits
    by_setting = {
        setting: evaluate.nats(theirs(bits["train"], 0, *setting)[0], bits["val"]).mean
        for setting in GRID
    }
    best = min(by_setting, key=by_setting.get)
    # three seeds, taking turns; the first steps of a process are slow, so one run before
    ours(bits["train"], 3)
    rounds = []
    for seed in range(3):
        for name, train in (("scikit-learn", partial(theirs, rate=best[0], batch=best[1])),
                            ("dgm", ours)):  # fmt: skip
            model, seconds = train(bits["train"], seed)
            nats = evaluate.nats(model, bits["test"]).mean
            rounds.append({"side": name, "seed": seed, "test": round(nats, 3),
                           "seconds": round(seconds, 3)})  # fmt: skip
            print(rounds[-1], flush=True)
    median = {
        name: statistics.median(r["seconds"] for r in rounds if r["side"] == name)
        for name in ("scikit-learn", "dgm")
    }
    ratio = median["scikit-learn"] / median["dgm"]
    print(f"their settings {best}, validation nats {by_setting[best]:.2f}; time ratio {ratio:.2f}")
    found = {
        "their_settings": dict(zip(("learning_rate", "batch_size"), best, strict=True)),
        "epochs": EPOCHS, "steps": STEPS, "rounds": rounds, "time_ratio": round(ratio, 2),
        "machine": platform.machine(), "load": os.getloadavg(),
        "versions": {"torch": torch.__version__, "scikit-learn": sklearn.__version__},
    }  # fmt: skip
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
