"""What three minutes of one core make of small grey photographs, by the page "Your own data".

``python -m dgm.zoo.studies.three_minutes`` cuts the middle 28 by 20 pixels out of the grey pictures
of CIFAR-10 and trains what is not on file yet with the page's settings: a gated PixelCNN, a VAE and
a flow, processor time measured. One seed: this is a promise kept, not a ranking.
"""

import copy
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, evaluate, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.train import fit
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SECONDS = 180.0
SHAPE = (28, 20)
SYSTEMS = {"gated_pixelcnn": dict(width=24, blocks=4), "vae": {}, "flowpp": {}}
FIT = dict(lr=2e-3, weight_decay=0.05, clip_norm=1.0, average=0.99, progress=False)


def load() -> list[dict]:
    """One dict for each system: bits/dim of the test part, its standard error, steps, seconds."""
    return read_runs(FILE)


def model_free_bits() -> dict[str, float]:
    """Bits/dim of what knows no model, on the same test part."""
    return json.loads(FILE.read_text(encoding="utf-8"))["baselines"]


def pictures() -> Dataset:
    """Middle parts of the pictures of CIFAR-10 that are at hand, their colours averaged."""
    found = data.load("cifar10")
    colours = torch.cat((found.train, found.val, found.test))  # (N, 3, 32, 32)
    weights = torch.tensor((0.299, 0.587, 0.114))[:, None, None]  # as luma is weighted
    grey = (colours.float() * weights).sum(1).round().to(torch.uint8)
    height, width = SHAPE
    top, left = (grey.shape[1] - height) // 2, (grey.shape[2] - width) // 2
    return data.from_array(grey[:, top : top + height, left : left + width])


def steps_within(seconds: float, model: nn.Module, batch: Tensor, trial: int = 8) -> int:
    """Steps of `fit` in so much processor time: `steps_in`, deaf to what else the machine does."""
    twin, times = copy.deepcopy(model).train(), []
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.0)
    for _ in range(trial + 2):
        start = time.process_time()
        optimizer.zero_grad()
        twin.loss(batch).mean().backward()
        optimizer.step()
        times.append(time.process_time() - start)
    return max(1, int(0.9 * seconds / sorted(times[2:])[trial // 2]))


def train_briefly(system: str, seed: int, seconds: float = SECONDS) -> dict:
    """Train one system for three minutes of one core and score it on the test part."""
    torch.set_num_threads(1)
    runtime.seed(seed)
    own = pictures()
    model = zoo.get(system).build(own.kind, **SYSTEMS[system])
    if hasattr(model, "start_from"):
        model.start_from(own.train)
    steps = steps_within(seconds, model, own.train[:64])
    start = time.process_time()
    fit(model, own, steps=steps, warmup=steps // 10, seed=seed, **FIT)
    spent = time.process_time() - start
    score = evaluate.nats(model, own.test)
    bits = [evaluate.bits_per_dim(v, own.shape) for v in (score.mean, score.standard_error)]
    found = {"test": round(bits[0], 3), "error": round(bits[1], 3)}
    return found | {"steps": steps, "seconds": round(spent), "sure": hasattr(model, "log_prob")}


def main() -> None:
    """Train what is not on file yet."""
    own = pictures()
    found = {name: round(bits, 3) for name, bits in evaluate.baselines(own).items()}
    sizes = [len(part) for part in (own.train, own.val, own.test)]
    cells = [dict(system=name, seed=0) for name in SYSTEMS]
    train_missing(FILE, cells, train_briefly, baselines=found, pictures=sizes, fit=FIT)


if __name__ == "__main__":
    main()
