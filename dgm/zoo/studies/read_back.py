"""InfoGAN of the sprites, three seeds: what its reader's codes score, beside those of VAEs.

``python -m dgm.zoo.studies.read_back`` trains what is not on file, a minute of one core each, and
keeps the metrics of the reader's codes; of seed 0 the weights too,
``read_back.safetensors``.
"""

import time
from pathlib import Path

import torch
from torch import nn

from dgm import evaluate, runtime
from dgm.zoo import disentanglement
from dgm.zoo.studies.disentangled_sprites import all_sprites, metrics
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.weights import read_weights, save_weights, unpacked

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SIZES = dict(n_codes=5, n_noise=8, penalty=1.0)
FIT = dict(steps=1500, batch_size=64, lr=2e-3, schedule="cosine", eval_every=500)


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def trained_info_gan() -> nn.Module:
    """The model of seed 0, in eval mode."""
    model = disentanglement.info_gan(all_sprites().kind, **SIZES)
    model.load_state_dict(unpacked(read_weights(FILE.with_suffix(".safetensors"))[0]))
    return model.eval()


@torch.no_grad()
def one_reading(seed: int) -> dict:
    """Train one seed and score it; ``unread`` are the nats missing about its own codes."""
    runtime.seed(seed)
    model, begun = disentanglement.info_gan(all_sprites().kind, **SIZES), time.process_time()
    with torch.enable_grad():
        disentanglement.fit_game(model, all_sprites(), seed, **FIT)
    seconds = time.process_time() - begun
    if seed == 0:
        save_weights(model, FILE.with_suffix(".safetensors"), seconds=round(seconds, 1))
    found = metrics(model.codes(all_sprites().train))
    with evaluate.measuring(model, 0):
        found["unread"] = model.unread(4000).mean().item()
    return {name: round(value, 4) for name, value in found.items()} | {"seconds": round(seconds, 1)}


def main() -> None:
    """Train what is missing."""
    train_missing(FILE, [dict(seed=seed) for seed in SEEDS], one_reading, sizes=SIZES, fit=FIT)


if __name__ == "__main__":
    main()
