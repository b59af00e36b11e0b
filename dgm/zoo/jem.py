"""The classifiers of chapter 20 that are energies: one network, p(y | x) and p(x) up to Z."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dgm.distribution.support import Levels, Reals
from dgm.jem.class_gaussians import ClassGaussians
from dgm.jem.joint_energy import JointEnergyModel
from dgm.jem.langevin_replay import LangevinReplay
from dgm.nets.mlp import MLP
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.train.guarded import GuardedFit, guarded_fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.studies.judges import distance_to

CHAPTER = "20_jem"
BRANCH = ("explicit", "unnormalised", "energy")


def _chains(
    data: Levels | Reals, labels: Levels, rank: int, noise: float, reach: float, pace: float,
    **counts: int,
) -> LangevinReplay:  # fmt: skip
    """Chains of steps ``pace`` noise^2 in a box a few noises wider than the scaled data."""
    box = 1.0 + 4 * noise if isinstance(data, Levels) else reach
    return LangevinReplay(ClassGaussians(data, labels, rank), pace * noise**2, box, **counts)


def jem(
    data: Levels | Reals, n_classes: int = 10, widths: tuple[int, ...] = (8, 8),
    strides: tuple[int, ...] = (2, 1), hidden: int = 16, noise: float = 0.2, pace: float = 1.0,
    rank: int = 8, n_chains: int = 16, n_kept: int = 64, steps: int = 4, draw_steps: int = 20,
    weight: float = 1.0, reach: float = 6.0,
) -> JointEnergyModel:  # fmt: skip
    """Joint energy model: a convolutional classifier whose log-sum-exp is a log density."""
    labels = Levels((), data.count(n_classes, "n_classes", least=1))
    net = SmoothConvNet(data.shape, n_classes, widths, strides, hidden)
    counts = dict(n_chains=n_chains, n_kept=n_kept, steps=steps)
    chains = _chains(data, labels, rank, noise, reach, pace, **counts)
    return JointEnergyModel(data, labels, net, chains, noise, weight, draw_steps)


def joint_mlp(
    data: Levels | Reals, n_classes: int = 2, hidden: tuple[int, ...] = (64, 64),
    noise: float = 0.3, pace: float = 0.5, rank: int = 2, n_chains: int = 128, n_kept: int = 512,
    steps: int = 10, draw_steps: int = 100, weight: float = 1.0, reach: float = 6.0,
) -> JointEnergyModel:  # fmt: skip
    """Joint energy perceptron: the same of any data, points of the plane above all."""
    labels = Levels((), data.count(n_classes, "n_classes", least=1))
    net = nn.Sequential(nn.Flatten(), MLP(data.dims, n_classes, hidden))
    counts = dict(n_chains=n_chains, n_kept=n_kept, steps=steps)
    chains = _chains(data, labels, rank, noise, reach, pace, **counts)
    blur = noise if isinstance(data, Levels) else 0.0
    return JointEnergyModel(data, labels, net, chains, blur, weight, draw_steps)


def begin_and_train(
    model: JointEnergyModel, dataset: Any, seed: int, *, moved: float = 0.0,
    **settings: Any,
) -> GuardedFit:  # fmt: skip
    """Fit the Gaussians to the training pictures, moved and noisy, then `guarded_fit`.

    ``moved``: training pictures are shifted by this part of a pixel, less and less. The last
    weights are kept; the Frechet distance of their draws from the validation digits is noted.
    """
    # the law that the chains start from has seen moved and noisy pictures, as training does
    generator = torch.Generator().manual_seed(seed)
    until = max(1, round(0.8 * settings["steps"]))
    augment = Jitter(dataset.levels, until, shift=moved, turn=0.3 * moved) if moved else None
    x, y = dataset.train[:20_000], dataset.train_y[:20_000]
    u = dataset.kind.scaled(augment(x, 0) if augment else x)
    u = u + model.noise * torch.randn(u.shape, generator=generator)
    model.chains.start.fit_to(u, y)
    pairs = (dataset.train, dataset.train_y)
    fitted = guarded_fit(model, pairs, augment=augment, seed=seed, **settings)
    distance = distance_to(dataset.val, dataset.name)(model)
    return replace(fitted, best_val=distance)


_GRATHWOHL = ("Grathwohl et al. (2020)", "https://arxiv.org/abs/1912.03263")
_DIGITS = Recipe(
    dict(widths=(32, 64, 64), strides=(2, 1, 1), hidden=128, noise=0.2, pace=0.5, rank=16,
         n_chains=48, n_kept=96, steps=4, draw_steps=30, weight=0.1),
    dict(steps=2500, batch_size=64, lr=1e-3, weight_decay=0.01, average=0.995, moved=0.7,
         warmup=10, clip_norm=5.0, progress=False),
    begin_and_train, seeds=3,
)  # fmt: skip
_PLAIN = replace(
    _DIGITS, sizes=_DIGITS.sizes | {"weight": 0.0}, fit=_DIGITS.fit | {"lr": 2e-3}, of="digits"
)
_TINY = dict(hidden=8, n_chains=6, n_kept=9, steps=3, draw_steps=5, rank=2)

ENTRIES = (
    Entry(
        jem, "E10 E12 E13 E14 E16", _GRATHWOHL,
        Tiny(Levels((1, 4, 4), 5), _TINY | dict(widths=(5, 4), n_classes=3)),
        {"digits": _DIGITS, "digits_plain": _PLAIN},
    ),
    Entry(
        joint_mlp, "E10", _GRATHWOHL,
        Tiny(Reals((2,)), _TINY | dict(hidden=(5, 7), n_classes=3)),
    ),
)  # fmt: skip
