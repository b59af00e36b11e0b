"""How recipes train models of pictures and classes, with all labels or with few of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dgm import evaluate
from dgm.distribution.conditional import SoftmaxHead
from dgm.hybrid.m2 import M2
from dgm.hybrid.semi_supervised import SemiSupervised, few_labels
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter


def train_with_labels(model: nn.Module, dataset: Any, seed: int, **settings: Any) -> Fit:
    """`fit` on pictures and labels, kept at the best validation objective; scored in nats of x."""
    pairs = (dataset.train, dataset.train_y)
    fitted = fit(model, pairs, val=(dataset.val, dataset.val_y), seed=seed, **settings)
    score = evaluate.nats(model, dataset.val, repeats=4)
    return replace(fitted, best_val=score.mean)


def moved_copies(x: Tensor, levels: int, shift: float, turn: float, seed: int) -> Tensor:
    """Pictures x (N, C, H, W), each shifted and turned a little."""
    jitter = Jitter(levels, 10**9, shift, turn)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.cat([jitter(part, 0) for part in x.split(2000)])


def train_semi(
    model: M2, dataset: Any, seed: int, *, n_labels: int, share: float = 0.1, warm: int = 200,
    settle: int = 0, shift: float = 0.0, turn: float = 0.0, held_out: int | None = None,
    **settings: Any,
) -> Fit:  # fmt: skip
    """Train M2 with labels on ``n_labels`` pictures only; scored in nats of validation pictures.

    The labelled pictures are repeated, each copy moved a little. The entropy of q(y|x) would
    spread the classes evenly as long as the decoder makes no difference between them, so first
    come ``warm`` steps of the classifier alone on the labelled pictures, then ``settle`` steps of
    all the rest, while the classifier waits.
    """
    # who has a label
    x, y = dataset.train, dataset.train_y
    chosen = few_labels(y, n_labels, model.labels.levels, seed)
    semi = SemiSupervised(model, n_labels, len(x), share)
    others, again, known = semi.rows(x, y, chosen)
    if shift or turn:
        again = moved_copies(again, dataset.levels, shift, turn, seed)
    # the classifier alone
    model.start_from(x)
    first = settings | dict(schedule="constant", average=0.0)
    if warm:
        alone = SoftmaxHead(model.labels, model.classifier)
        pairs = (model.data.scaled(again[:20_000]), known[:20_000])
        fit(alone, pairs, seed=seed, **first | dict(steps=warm, batch_size=64))
    # the others alone, then all
    if settle:
        model.classifier.requires_grad_(False)
        fit(semi, (others, again, known), seed=seed + 1000, **first | dict(steps=settle))
        model.classifier.requires_grad_(True)
    fitted = fit(semi, (others, again, known), seed=seed, **settings)
    score = evaluate.nats(model.eval(), dataset.val[:held_out], repeats=4)
    return replace(fitted, best_val=score.mean)
