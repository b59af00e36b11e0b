"""What the three codes of DIVA know of class and domain, by fresh and strong probes, three seeds.

``python -m dgm.zoo.studies.invariant_codes`` trains what is not on file, some fifteen seconds
of one core each: DIVA of the 8 by 8 digits turned by six angles, all of them seen.
"""

from pathlib import Path

import torch

from dgm import runtime
from dgm.data.turned_digits import ANGLES, turned_digits
from dgm.fairness.sensitive_probe import sensitive_probe, wide_probe
from dgm.train import fit
from dgm.zoo.hybrid import diva
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.studies.turned_domains import SIZES, WEIGHTS

FILE = Path(__file__).with_suffix(".json")
SEEDS, CODES = range(3), ("z_d", "z_x", "z_y")
FIT = dict(
    clip_norm=1.0, progress=False, steps=700, batch_size=64, lr=2e-3, weight_decay=0.1, warmup=50,
    average=0.99,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each seed: of each code the probes of class and of domain."""
    return read_runs(FILE)


def one_seed(seed: int) -> dict:
    """Train DIVA on all angles, and probe the means of its codes."""
    rows = turned_digits()
    runtime.seed(seed)
    model = diva(rows.kind, n_domains=len(ANGLES), **SIZES, **WEIGHTS)
    model.start_from(rows.train)
    fit(model, (rows.train, rows.train_y, rows.train_d), seed=seed, **FIT)
    with torch.no_grad():
        codes, of_test = model.eval().codes(rows.train), model.codes(rows.test)
    found = {}
    for name, z, v in zip(CODES, codes, of_test, strict=True):
        found[name] = {}
        groups = (("class", rows.train_y, rows.test_y), ("domain", rows.train_d, rows.test_d))
        for what, s, t in groups:
            leak = sensitive_probe(z, s, v, t, wide_probe(seed))
            found[name][what] = {key: round(value, 4) for key, value in vars(leak).items()}
    return found


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    train_missing(FILE, [dict(seed=seed) for seed in SEEDS], one_seed, weights=WEIGHTS, fit=FIT)


if __name__ == "__main__":
    main()
