"""The draws of every model of 28 by 28 digits in the book, compared with test digits by one judge.

``python -m dgm.zoo.studies.draws_by_judge`` draws from those that are not on file yet, and keeps
scores, seconds of one core, and a dozen draws of each for the eye, in ``draws_by_judge.json`` and
``.safetensors.xz``. What draws pixel by pixel takes minutes.
"""

import json
import time
from pathlib import Path

import torch
from torch import Tensor

from dgm import data, results, zoo
from dgm.zoo.studies.judges import compared, control, truth_of
from dgm.zoo.weights import SUFFIX, read_weights, write_weights

FILE = Path(__file__).with_suffix(".json")
DRAWN, AT_ONCE, SHOWN = 1000, 100, 12
NAMES = (
    "conv_gan", "vae", "resnet_vae", "vq_vae", "deep_mixture", "realnvp", "glow", "flowpp",
    "pixel_wavenet", "class_pixelcnn",
)  # fmt: skip
REAL = "real digits"  # the control: other test pictures


def load() -> dict[str, dict]:
    """By model: frechet, precision, recall, draws, seconds of drawing, and `nearest`."""
    return json.loads(FILE.read_text(encoding="utf-8"))["models"]


def shown() -> dict[str, Tensor]:
    """By model: a dozen draws (12, 1, 28, 28), the first ones; "neighbours": of the GAN's."""
    return read_weights(FILE.with_suffix(SUFFIX))[0]


def drawn_from(name: str) -> Tensor:
    """Draws (DRAWN, 1, 28, 28) of one model; of one with labels, as many of each class."""
    if name == REAL:
        return control(DRAWN)
    model, made = zoo.load(name, "mnist"), torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(DRAWN // AT_ONCE):
        y = torch.arange(AT_ONCE) % 10
        given = {} if getattr(model, "condition", None) is None else {"y": y}
        drawn.append(model.sample(AT_ONCE, generator=made, **given))
    return torch.cat(drawn)


def nearest(x: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance (N,) to the nearest training picture, pixels in 0 .. 1, and its row."""
    rows = train.flatten(1).float() / 255
    return torch.cdist(x.flatten(1).float() / 255, rows).min(1)


def main() -> None:
    """Draw from what is missing, and write after each model."""
    found, kept = (load(), shown()) if FILE.exists() else ({}, {})
    train = data.load("mnist").train
    for name in (REAL, *NAMES):
        if name in found:
            continue
        start = time.process_time()
        x = drawn_from(name)
        seconds = round(time.process_time() - start, 1)
        scores = compared(x, truth_of("mnist"), "mnist")
        found[name] = {k: round(v, 3) for k, v in scores.items()}
        found[name] |= {"draws": len(x), "seconds": seconds}
        away, rows = nearest(x, train)
        found[name] |= {"nearest": round(away.median().item(), 3)}
        kept[name] = x[:SHOWN].contiguous()
        if name == NAMES[0]:
            kept["neighbours"] = train[rows[:SHOWN]].contiguous()
        said = {"hardware": results.hardware(), "models": found}
        FILE.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        write_weights(kept, FILE.with_suffix(SUFFIX))
        print(name, found[name], flush=True)


if __name__ == "__main__":
    main()
