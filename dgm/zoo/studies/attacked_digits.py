"""How far a picture must be moved until a classifier errs, and whether a detector sees it.

``python -m dgm.zoo.studies.attacked_digits mnist reweighted`` runs what is not on file of one
system (all of them where none is named): two to five minutes of one core for a system of 28 by 28
digits, seconds for one of 8 by 8. Pictures that are called wrong as they are have no distance.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from dgm import data
from dgm.robustness.cw_l2 import margins
from dgm.robustness.pgd_l2 import pgd_l2
from dgm.zoo.attacked import (
    NAMES,
    Attacked,
    attacked_classifier,
    attacked_pictures,
    by_decisions,
    by_slope,
    distances,
    of_files,
    threshold_of,
    whole_levels,
)
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
ATTACKED = {"digits": 32, "mnist": 20}
FEW = 8  # pictures for the long attack
RADII = {"digits": (0.2, 0.4, 0.6, 0.8, 1.0, 1.4), "mnist": (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)}
WALK = {"digits": 1000, "mnist": 1000}
SEARCHED = {"digits": 400, "mnist": 500}  # steps of the walk where each answer is a search
FURTHER = 150  # steps of the walk from where the slope led
SLOPE, LONG = dict(steps=100, searches=6), dict(steps=300, searches=6)
FLOWS = ("reweighted", "split")
ATTACKS = {
    "none": None,  # all systems
    "slope": None,
    "slope, long": None,
    "decisions": None,
    "slope, detected": FLOWS,
    "decisions, detected": FLOWS,
    "files": ("CNN", *FLOWS),  # by slope, pictures of 28 by 28 in whole grey levels
    "files, detected": FLOWS,
}
CLEAN = 2000


def load() -> list[dict]:
    """One dict for each run: data, system, attack, and distances and alarms picture by picture."""
    return read_runs(FILE)


def run_of(runs: list[dict], name: str, system: str, attack: str) -> dict:
    """The run of one cell."""
    wanted = dict(data=name, system=system, attack=attack)
    return next(run for run in runs if wanted.items() <= run.items())


def clean_part(name: str, system: str) -> dict:
    """Threshold on validation pictures; on test pictures accuracy and false alarms; PGD curve."""
    threshold = None if system == "CNN" else round(threshold_of(name, system), 3)
    who = attacked_classifier(name, system, threshold)
    u, y = attacked_pictures(name, "test", CLEAN if name == "mnist" else None)
    said = torch.cat([who.says(part) for part in u.split(100)])
    alarms = torch.cat([who.alarm(part) for part in u.split(100)])
    found = {"threshold": threshold, "accuracy": (said == y).double().mean().item()}
    found["false_alarms"] = alarms.double().mean().item()
    u, y = attacked_pictures(name, "test", ATTACKED[name])
    found["pgd"] = [(who.says(u) == y).double().mean().item()]
    for radius in RADII[name]:
        v = pgd_l2(lambda v: -margins(who.logits(v), y), u, radius, 20)
        found["pgd"].append((who.says(v) == y).double().mean().item())
    return found


def attacked_part(name: str, system: str, attack: str) -> dict:
    """Distances (null: no success, or wrong before) and alarms of one attack.

    What the slope found, the walk goes on from: where slopes are hidden it comes much nearer.
    """
    threshold = run_of(load(), name, system, "none")["threshold"]
    who = attacked_classifier(name, system, threshold)
    u, y = attacked_pictures(name, "test", ATTACKED[name])
    if attack == "slope, long":
        u, y = u[:FEW], y[:FEW]
    right, detected = who.says(u) == y, attack.endswith("detected")
    # by slope, in whole grey levels or not, or by decisions
    if attack.startswith("files"):
        levels = data.kind(name).levels
        who = of_files(who, levels)
        v = whole_levels(by_slope(who, u, y, detected, **SLOPE), levels)
    elif attack.startswith("slope"):
        v = by_slope(who, u, y, detected, **(LONG if attack == "slope, long" else SLOPE))
    else:
        v = walked_from(who, name, u, y, right, detected)
    far = distances(u, v)
    found = {"distance": listed(far, right), "alarm": listed(who.alarm(v.nan_to_num()), right)}
    if attack == "slope":
        there = right & far.isfinite() & (far > 0)
        v[there] = by_decisions(who, u[there], y[there], None, FURTHER, starts=v[there])
        found["walked"] = listed(distances(u, v), right)
    return found


def walked_from(
    who: Attacked, name: str, u: Tensor, y: Tensor, right: Tensor, detected: bool
) -> Tensor:  # fmt: skip
    """The boundary attack on pictures that are right, from other test pictures; NaN elsewhere."""
    others = attacked_pictures(name, "test")[0]
    pool = others[3 :: max(1, len(others) // 400)]
    v = torch.full_like(u, torch.nan)
    steps = (SEARCHED if who.name == "ABS" else WALK)[name]
    v[right] = by_decisions(who, u[right], y[right], pool, steps, detected)
    return v


def listed(values: Tensor, right: Tensor) -> list:
    """Rounded numbers for the file; None where a picture was wrong before or nothing was found."""
    found = []
    for value, ok in zip(values.tolist(), right.tolist(), strict=True):
        found.append(round(value, 4) if ok and value == value else None)
    return found


def attack_run(data: str, system: str, attack: str) -> dict:
    """One cell."""
    return clean_part(data, system) if attack == "none" else attacked_part(data, system, attack)


def main() -> None:
    """Run what is missing, of the data and systems named on the command line."""
    asked, cells = sys.argv[1:], []
    for name in NAMES:
        for system in NAMES[name]:
            if not asked or (name in asked and (len(asked) == 1 or system in asked)):
                attacks = [a for a, of in ATTACKS.items() if of is None or system in of]
                if name == "digits":
                    attacks = [a for a in attacks if not a.startswith("files")]
                if (name, system) == ("mnist", "ABS"):  # too many searches
                    attacks.remove("slope, long")
                cells += [dict(data=name, system=system, attack=a) for a in attacks]
    settings = dict(
        pictures=ATTACKED, radii=RADII, walk=WALK, searched=SEARCHED, slope=SLOPE, long=LONG
    )
    train_missing(FILE, cells, attack_run, **settings)


if __name__ == "__main__":
    main()
