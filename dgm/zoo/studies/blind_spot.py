"""What sight is worth on the digits: the gated network with some taps covered, three seeds each.

``python -m dgm.zoo.studies.blind_spot`` trains what is not on file yet, about half a minute of one
core each, and keeps the scores only.
"""

from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from dgm import data, evaluate, runtime
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.measure.receptive_field import seen_from
from dgm.zoo.entry import start_and_fit
from dgm.zoo.pixel import ENTRIES
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
COVERS = ("wedge", "right")  # with nothing covered it is the recipe, scored in its weights
(RECIPE,) = (e.recipes["digits"] for e in ENTRIES if e.name == "gated_pixelcnn")
(BUILD,) = (e.build for e in ENTRIES if e.name == "gated_pixelcnn")


class Cover(nn.Module):
    """Weights of a convolution with some taps at zero, whatever the optimiser does."""

    def __init__(self, taps: Tensor):
        super().__init__()
        self.register_buffer("taps", taps, persistent=False)  # (rows, columns), ones and zeros

    def forward(self, weight: Tensor) -> Tensor:
        """weight (out, in, rows, columns) -> the same."""
        return weight * self.taps


def covered_gated(kind: object, cover: str) -> Autoregressive:
    """The gated network of the chapter, its vertical stack made blind by degrees.

    ``wedge`` covers the taps to the right in the row at hand of every later layer: a column further
    right costs a row up, as in a PixelCNN. ``right`` covers all taps to the right, in all layers.
    Nothing else differs, the weights at the start and the batches included.
    """
    model = BUILD(kind, **RECIPE.sizes)
    stack = model.net.stack
    convolutions = [layer.vertical for layer in stack.layers]
    if cover == "right":
        convolutions.append(stack.above)
    for convolution in convolutions:
        rows, columns = convolution.kernel_size
        taps = torch.ones(rows, columns)
        taps[-1 if cover == "wedge" else slice(None), columns // 2 + 1 :] = 0
        register_parametrization(convolution, "weight", Cover(taps))
    return model


def mean_unseen(model: nn.Module, shape: tuple[int, int, int]) -> float:
    """Earlier pixels that the feature of a place does not depend on, a mean over all places."""
    stack, (_, height, width) = model.net.stack, shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, stack.above.in_channels, height, width, generator=generator)
    looked_at = [
        int((seen_from(stack, x, i, j) > 0).sum()) for i in range(height) for j in range(width)
    ]
    return (len(looked_at) - 1) / 2 - sum(looked_at) / len(looked_at)


def train_covered(cover: str, seed: int) -> dict:
    """Train one network by the recipe of the gated one and score it."""
    digits = data.load("digits")
    runtime.seed(seed)
    model = covered_gated(digits.kind, cover)
    fitted = start_and_fit(model, digits, seed, **RECIPE.fit)
    return {
        "unseen": round(mean_unseen(model, digits.shape), 3),
        "val": round(fitted.best_val, 3),
        "test": round(evaluate.nats(model, digits.test).mean, 3),
        "seconds": round(fitted.seconds, 1),
    }


def load() -> list[dict]:
    """One dict for each run: cover, seed, pixels out of sight, nats of validation and test."""
    return read_runs(FILE)


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(cover=cover, seed=seed) for seed, cover in product(SEEDS, COVERS)]
    train_missing(FILE, cells, train_covered, fit=RECIPE.fit)


if __name__ == "__main__":
    main()
