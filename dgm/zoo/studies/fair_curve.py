"""Fair VAEs of two tables over the strength of their penalty, and what their codes still know.

``python -m dgm.zoo.studies.fair_curve`` trains what is not on file, some ten seconds of one core
each. Task and group are read off the codes by fresh classifiers: trained on the codes of the
training rows, measured on the test rows.
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from dgm import runtime
from dgm.data.census import SensitiveTable, census
from dgm.data.known_bias import known_bias
from dgm.fairness.group_gaps import demographic_parity_gap, equalised_odds_gap
from dgm.fairness.sensitive_probe import boosted_probe, sensitive_probe, wide_probe
from dgm.train import fit
from dgm.zoo.fairness import deep_adversary, fair_vae, linear_adversary
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, TABLES = range(3), ("known", "census")
STRENGTHS = {"known": (0.0, 100.0, 300.0, 1000.0), "census": (0.0, 100.0, 300.0)}
ADVERSARIES = {"linear": linear_adversary, "deep": deep_adversary}
ADVERSARY_STRENGTH, ADVERSARY_RATE = 8.0, 1e-3
SIZES = dict(latent_dim=6, style_dim=2, width=64)
LABEL_WEIGHTS = {"known": 5.0, "census": 20.0}
BINS = 20
FIT = dict(
    clip_norm=5.0, progress=False, steps=700, batch_size=256, lr=2e-3, weight_decay=1e-3,
    warmup=20, average=0.99,
)  # fmt: skip


def load() -> list[dict]:
    """One dict for each run: table, penalty, strength, seed, and what was measured on test rows."""
    return read_runs(FILE)


@lru_cache(maxsize=2)
def table_of(name: str) -> SensitiveTable:
    """ "known" or "census"."""
    return known_bias(6000) if name == "known" else census()


def train_fair(name: str, penalty: str, strength: float, seed: int) -> nn.Module:
    """A fair VAE of all training rows of a table with their labels, in eval mode."""
    table = table_of(name)
    runtime.seed(seed)
    model = fair_vae(table.kind, strength=strength, label_weight=LABEL_WEIGHTS[name], **SIZES)
    if penalty in ADVERSARIES:
        model.penalty = ADVERSARIES[penalty](model.encoder.latent_dim)
    if hasattr(model.decoder, "start_from"):
        model.decoder.start_from(table.train)
    rows = (table.train, table.train_s, table.train_y)
    rate = dict(lr=ADVERSARY_RATE) if penalty in ADVERSARIES else {}  # the game needs small steps
    fit(model, rows, seed=seed, **FIT | rate)
    return model.eval()


@torch.no_grad()
def drawn_codes(model: nn.Module, table: SensitiveTable, seed: int = 0) -> dict:
    """z1 of q(z1|x,s), one draw for each row of "train" and "test"."""
    made = torch.Generator().manual_seed(seed)
    parts = {"train": (table.train, table.train_s), "test": (table.test, table.test_s)}
    return {part: model.codes(x, s).rsample(generator=made) for part, (x, s) in parts.items()}


def of_task(codes: dict, table: SensitiveTable, seed: int = 0) -> dict[str, float]:
    """A fresh perceptron of the task on codes: accuracy and both gaps of its yes or no."""
    fresh = wide_probe(seed).fit(codes["train"].numpy(), table.train_y.numpy())
    yes = torch.as_tensor(fresh.predict(codes["test"].numpy()))
    s, y = table.test_s, table.test_y
    found = {"accuracy": (yes == y).double().mean().item()}
    found["parity"] = demographic_parity_gap(yes, s)
    return found | {"odds": equalised_odds_gap(yes, s, y)}


def of_group(codes: dict, table: SensitiveTable, seed: int = 0) -> dict[str, dict]:
    """What two fresh probes read of the group off the codes."""
    found = {}
    for name, make in (("boosted", boosted_probe), ("wide", wide_probe)):
        columns = codes["train"], table.train_s, codes["test"], table.test_s
        found[name] = vars(sensitive_probe(*columns, make(seed)))
    return found


def answers(codes: dict, table: SensitiveTable) -> list[list[float]]:
    """Share of test rows of each group by the boosted probe's P(s = 1 | code), in equal bins."""
    fresh = boosted_probe().fit(codes["train"].numpy(), table.train_s.numpy())
    chance = torch.as_tensor(fresh.predict_proba(codes["test"].numpy()))[:, 1]
    of_group = [chance[table.test_s == k] for k in (0, 1)]
    return [(torch.histc(c, BINS, 0, 1) / len(c)).tolist() for c in of_group]


def fair_run(table: str, penalty: str, strength: float, seed: int) -> dict:
    """Train one cell and measure it."""
    rows = table_of(table)
    model = train_fair(table, penalty, strength, seed)
    codes = drawn_codes(model, rows)
    found = {"task": of_task(codes, rows), "group": of_group(codes, rows)}
    found["histogram"] = answers(codes, rows)
    with torch.no_grad():
        found["nats"] = -model.elbo(rows.test, rows.test_s).mean().item()
        if penalty in ADVERSARIES:
            found["adversary"] = model.penalty.accuracy(codes["test"], rows.test_s)
    return _rounded(found)


def _rounded(found: dict) -> dict:
    """Four decimals, for the file."""
    kept = {}
    for name, value in found.items():
        if isinstance(value, dict):
            kept[name] = _rounded(value)
        elif isinstance(value, list):
            kept[name] = [[round(share, 3) for share in row] for row in value]
        else:
            kept[name] = round(value, 4)
    return kept


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = []
    for seed in SEEDS:
        cells += [
            dict(table=t, penalty="mmd", strength=g, seed=seed)
            for t in TABLES
            for g in STRENGTHS[t]
        ]
        cells += [
            dict(table="known", penalty=p, strength=ADVERSARY_STRENGTH, seed=seed)
            for p in ADVERSARIES
        ]
    train_missing(
        FILE,
        cells,
        fair_run,
        sizes=SIZES,
        fit=FIT,
        label_weights=LABEL_WEIGHTS,
        adversary_rate=ADVERSARY_RATE,
    )


if __name__ == "__main__":
    main()
