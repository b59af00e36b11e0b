"""DIVA on digits turned by six angles, one angle kept for the test, beside a plain classifier.

``python -m dgm.zoo.studies.turned_domains`` trains what is not on file yet, some ten seconds of one
core each, and keeps accuracies in percent only: of the angle left out, and of probes of the codes.
"""

from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import evaluate, runtime
from dgm.data.images import digits
from dgm.data.turned_digits import ANGLES, Domains, turned, turned_digits
from dgm.distribution.conditional import SoftmaxHead
from dgm.distribution.support import Levels
from dgm.train import fit
from dgm.zoo.hybrid import diva
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, METHODS = range(3), ("DIVA", "classifier")
SIZES = dict(latent_dim=8, width=96, dropout=0.2)
WEIGHTS = dict(class_weight=100.0, domain_weight=50.0)
FIT = dict(
    clip_norm=1.0, progress=False, steps=800, batch_size=64, lr=2e-3, weight_decay=0.1, warmup=50,
    average=0.99, eval_every=50,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each run: method, angle left out, seed, accuracies in percent."""
    return read_runs(FILE)


def without_one(domains: Domains, left_out: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """(x, y, d) of all domains but one for "train" and "val", domains counted anew.

    "test" holds every test digit turned by the angle left out; their d is -1.
    """
    found = {}
    for part in ("train", "val"):
        x, y, d = (getattr(domains, f"{part}{end}") for end in ("", "_y", "_d"))
        kept = d != left_out
        found[part] = x[kept], y[kept], d[kept] - (d[kept] > left_out).long()
    plain = digits()
    x = turned(plain.test, domains.angles[left_out])
    found["test"] = x, plain.test_y, torch.full_like(plain.test_y, -1)
    return found


def train_diva(parts: dict, kind: Levels, n_domains: int, seed: int) -> nn.Module:
    """A DIVA on domains 0 .. n_domains - 1, kept at its best validation loss."""
    runtime.seed(seed)
    model = diva(kind, n_domains=n_domains, **SIZES, **WEIGHTS)
    model.start_from(parts["train"][0])
    fit(model, parts["train"], val=parts["val"], seed=seed, **FIT)
    return model


def train_left_out(method: str, angle: int, seed: int) -> dict:
    """Train without one angle, and test on it alone."""
    domains = turned_digits()
    parts = without_one(domains, ANGLES.index(angle))
    if method == "DIVA":
        model = train_diva(parts, domains.kind, len(ANGLES) - 1, seed)
        said = model.class_posterior
    else:
        # the encoder of z_y with the head of DIVA, trained as a classifier
        runtime.seed(seed)
        whole = diva(domains.kind, n_domains=len(ANGLES) - 1, **SIZES)
        net = nn.Sequential(whole.encoders[2].net, nn.SiLU(), nn.Linear(2 * 8, 10))
        model = SoftmaxHead(Levels((), 10), net)
        scaled = {name: (domains.kind.scaled(x), y) for name, (x, y, _) in parts.items()}
        fit(model, scaled["train"], val=scaled["val"], seed=seed, **FIT)
        said = lambda x: model(domains.kind.scaled(x))  # noqa: E731
    found = {}
    for part in ("val", "test"):
        with torch.no_grad():
            right = said(parts[part][0]).logits.argmax(1) == parts[part][1]
        found[f"{part}_accuracy"] = round(100 * right.double().mean().item(), 2)
    return found | (read_codes(model, parts) if method == "DIVA" else {})


@torch.no_grad()
def read_codes(model: nn.Module, parts: dict) -> dict[str, float]:
    """What a logistic regression reads off each code of "val": the class, the domain; percent."""
    found, (x, y, d), (v, v_y, v_d) = {}, parts["train"], parts["val"]
    for name, code, of_val in zip(
        ("z_d", "z_x", "z_y"), model.codes(x), model.codes(v), strict=True
    ):
        for what, train, test in (("class", y, v_y), ("domain", d, v_d)):
            right = evaluate.linear_probe(code, train, of_val, test)
            found[f"{name}_{what}"] = round(100 * right, 2)
    return found


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(method=m, angle=a, seed=s) for s, a, m in product(SEEDS, ANGLES, METHODS)]
    train_missing(FILE, cells, train_left_out, fit=FIT)


if __name__ == "__main__":
    main()
