"""Chains of the energy of large digits, from noise, ten times as long as those it is judged by.

``python -m dgm.zoo.studies.long_chains`` takes two minutes of one core. Real digits, as many, are
scored beside them: so few pictures are some way off by chance. And log Z by annealing, on paths of
several lengths.
"""

import json
import math
import time
from pathlib import Path

import torch

from dgm import results, zoo
from dgm.deep_energy.annealing import annealed_log_z
from dgm.deep_energy.mala import MALA
from dgm.zoo.studies.judges import compared, control, truth_of

FILE = Path(__file__).with_suffix(".json")
CHAINS, LENGTHS = 200, (100, 300, 1000)
REAL_DIGITS = "as many real digits"
PATHS, ANNEALED = (100, 400, 1600), 16  # steps, chains


def load() -> dict[str, dict]:
    """By steps ("100", ...) and of real digits: frechet, precision, recall."""
    return json.loads(FILE.read_text(encoding="utf-8"))["chains"]


def load_annealed() -> list[list[float]]:
    """For each path: steps, log Z, and the mean of the log weights, which is lower still."""
    return json.loads(FILE.read_text(encoding="utf-8"))["annealed"]


@torch.no_grad()
def main() -> None:
    """Run the chains once, and look at them on the way."""
    model, truth = zoo.load("smoothed_energy", "mnist"), truth_of("mnist")
    made, start, done = torch.Generator().manual_seed(0), time.process_time(), 0
    found = {REAL_DIGITS: compared(control(CHAINS), truth, "mnist")}
    u = model.base_draws(CHAINS, made)
    for steps in LENGTHS:
        u, share = model.walker(model.tilted, u, steps - done, made)
        done = steps
        x = model.data.unscaled(model.best_guess(u), 0.0, 1.0).view(-1, *model.data.shape) + 0.5
        found[str(steps)] = compared(model.data.stored(x), truth, "mnist") | {"taken": share}
        print(steps, found[str(steps)], flush=True)
    annealed = []
    for steps in PATHS:
        log_w, _ = annealed_log_z(model, MALA(0.02), ANNEALED, steps, made)
        log_z = log_w.logsumexp(0).item() - math.log(ANNEALED)
        annealed.append([steps, round(log_z, 2), round(log_w.mean().item(), 2)])
        print(annealed[-1], flush=True)
    # what is kept
    kept = {name: {k: round(v, 3) for k, v in row.items()} for name, row in found.items()}
    said = {"chains_each": CHAINS, "hardware": results.hardware()}
    said |= {"seconds": round(time.process_time() - start, 1), "annealed": annealed}
    said |= {"chains": kept}
    FILE.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
