"""Does a WaveNet need its dilations? Two of equal size, one that sees the echo and one that cannot.

``python -m dgm.zoo.studies.echo_memory`` trains what is not on file yet, twenty seconds of one core
each, and keeps the nats that the places of a sound cost above its law, on the same test sounds.
"""

from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime
from dgm.data.dataset import Dataset
from dgm.train import fit
from dgm.zoo.sequence import wavenet
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
STRETCH = 16  # places that are averaged
NETWORKS = {  # nine layers and equally many weights: they see 512 samples, and 22
    "long": dict(width=16, n_layers=9, n_blocks=1),
    "short": dict(width=16, n_layers=3, n_blocks=3),
}
FIT = dict(steps=500, batch_size=8, lr=1e-2, warmup=50, clip_norm=1.0, average=0.99, progress=False)


def load() -> list[dict]:
    """One dict for each run: network, seed, nats above the law in each stretch of the sound."""
    return read_runs(FILE)


@torch.no_grad()
def excess(model: nn.Module, sounds: Dataset) -> Tensor:
    """Nats above the law at every place of the test sounds, (N, T)."""
    found = [-model.place_terms(x) for x in sounds.test.split(100)]
    return torch.cat(found) + sounds.law.place_log_prob(sounds.test)


def train_on_echoes(network: str, seed: int, sounds: Dataset) -> dict:
    """Train one network and score it place by place."""
    runtime.seed(seed)
    model = wavenet(sounds.kind, **NETWORKS[network])
    fitted = fit(model, sounds, seed=seed, **FIT)
    above = excess(model, sounds).mean(0).view(-1, STRETCH).mean(1)
    return {
        "above": [round(v, 4) for v in above.tolist()],
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(fitted.seconds, 1),
    }


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(network=name, seed=seed) for seed, name in product(SEEDS, NETWORKS)]
    train_missing(FILE, cells, partial(train_on_echoes, sounds=data.load("echo")), fit=FIT)


if __name__ == "__main__":
    main()
