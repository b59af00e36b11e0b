"""Draws of the diffusion model of 28 by 28 digits, by guidance, before the standing judge.

``python -m dgm.zoo.studies.diffusion_draws`` draws a thousand digits for each setting not on
file, as many of each class, and keeps scores and seconds of one core in ``diffusion_draws.json``.
"""

import json
import time
from pathlib import Path

import torch

from dgm import results, zoo
from dgm.diffusion.ddim import DDIM
from dgm.zoo.studies.judges import compared, truth_of

FILE = Path(__file__).with_suffix(".json")
DRAWN, AT_ONCE = 1000, 100
SETTINGS = ((16, 1.0),)  # steps, guidance


def load() -> list[dict]:
    """One dict for each setting: steps, guidance, frechet, precision, recall, seconds."""
    return json.loads(FILE.read_text(encoding="utf-8"))["runs"]


def main() -> None:
    """Draw what is missing, and write after each setting."""
    runs = load() if FILE.exists() else []
    model, truth = zoo.load("guided_diffusion", "mnist"), truth_of("mnist")
    for steps, guidance in SETTINGS:
        if any((r["steps"], r["guidance"]) == (steps, guidance) for r in runs):
            continue
        made, start = torch.Generator().manual_seed(0), time.process_time()
        sampler, y = DDIM(steps, eta=1.0, guidance=guidance), torch.arange(AT_ONCE) % 10
        parts = [sampler(model, AT_ONCE, y=y, generator=made) for _ in range(DRAWN // AT_ONCE)]
        seconds = round(time.process_time() - start, 1)
        scores = {k: round(v, 3) for k, v in compared(torch.cat(parts), truth, "mnist").items()}
        runs.append({"steps": steps, "guidance": guidance, "seconds": seconds} | scores)
        said = {"hardware": results.hardware(), "runs": runs}
        FILE.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        print(runs[-1], flush=True)


if __name__ == "__main__":
    main()
