"""The recipe of the PixelCNN of chapter 11 on 28 by 28 digits: two runs of an hour, on one core."""

from pathlib import Path
from typing import Any

from torch import nn

from dgm.data.dataset import Dataset
from dgm.train import Fit, fit
from dgm.train.shifts import WholeShifts
from dgm.zoo.entry import Recipe, start_and_fit


def fit_again(
    model: nn.Module, dataset: Dataset, seed: int, *, again: dict[str, Any], moved: int,
    held_out: int | None = None, checkpoint: Path | None = None, **settings: Any,
) -> Fit:  # fmt: skip
    """`start_and_fit`, and from there `fit` once more, as ``again`` says where it differs.

    The second time pictures are moved by whole pixels until step ``moved``. Two runs with a rate
    that falls to zero, for each of which there is a checkpoint.
    """
    first = checkpoint and checkpoint.with_name(f"first-{checkpoint.name}")
    start_and_fit(model, dataset, seed, held_out, checkpoint=first, **settings)
    examples, val = (dataset.train, dataset.train_y), dataset.val[:held_out]
    rest = settings | again | dict(augment=WholeShifts(moved), checkpoint=checkpoint)
    return fit(model, examples, val=val, seed=seed + 1000, **rest)


ON_MNIST = Recipe(
    dict(width=32, blocks=6, dilations=(1, 2, 1, 4, 1, 2), places=False),
    dict(
        steps=17_000, batch_size=16, lr=4e-3, weight_decay=0.02, warmup=200, clip_norm=1.0,
        average=0.999, eval_every=1700, held_out=200, mixed_precision=True, moved=11_050,
        again=dict(lr=2.5e-3, weight_decay=0.05, average=0.9995),
    ),
    fit_again,
)  # fmt: skip
