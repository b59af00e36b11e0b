"""What the three codes of DIVA know of class and domain, by fresh and strong probes, three seeds.

``python -m dgm.zoo.studies.invariant_codes`` trains what is not on file, some fifteen seconds
of one core each: DIVA of the 8 by 8 digits turned by six angles, all of them seen.
"""

from pathlib import Path

import torch
from torch import nn

from dgm import runtime
from dgm.data.turned_digits import ANGLES, turned_digits
from dgm.distribution.likelihood import SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels
from dgm.fairness.sensitive_probe import sensitive_probe, wide_probe
from dgm.hybrid.diva import DIVA, LabelGaussians
from dgm.nets.mlp import MLP
from dgm.train import fit
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, CODES = range(3), ("z_d", "z_x", "z_y")
LATENT, WIDTH, DROPOUT, WEIGHTS = 8, 96, 0.2, dict(class_weight=100.0, domain_weight=50.0)
FIT = dict(
    clip_norm=1.0, progress=False, steps=700, batch_size=64, lr=2e-3, weight_decay=0.1, warmup=50,
    average=0.99,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each seed: of each code the probes of class and of domain."""
    return read_runs(FILE)


def three_codes_of(kind: Levels, n_domains: int, n_classes: int = 10) -> DIVA:
    """DIVA of perceptrons, its softmax decoder and its priors, untrained."""

    def encoder() -> GaussianEncoder:
        net = MLP(kind.dims, 2 * LATENT, (WIDTH, WIDTH), DROPOUT)
        return GaussianEncoder(nn.Sequential(nn.Flatten(), net), LATENT)

    decoder = SoftmaxDecoder(
        MLP(3 * LATENT, kind.dims * kind.levels, (WIDTH, WIDTH), DROPOUT), kind
    )
    priors = (
        LabelGaussians(Levels((), n_domains), LATENT), StandardNormal((LATENT,)),
        LabelGaussians(Levels((), n_classes), LATENT),
    )  # fmt: skip
    heads = nn.Linear(LATENT, n_domains), nn.Linear(LATENT, n_classes)
    return DIVA(kind, [encoder() for _ in range(3)], decoder, *priors, *heads, **WEIGHTS)


def one_seed(seed: int) -> dict:
    """Train DIVA on all angles, and probe the means of its codes."""
    rows = turned_digits()
    runtime.seed(seed)
    model = three_codes_of(rows.kind, len(ANGLES))
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
