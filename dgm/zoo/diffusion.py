"""The diffusion models of chapter 19: chains from noise to data, each with its bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dgm.diffusion.absorbing import AbsorbingDiffusion
from dgm.diffusion.diffusion import Diffusion
from dgm.diffusion.edm import EDM
from dgm.diffusion.forward_process import VariancePreserving
from dgm.diffusion.langevin import AnnealedLangevin
from dgm.diffusion.ncsn import NCSN
from dgm.diffusion.parameterisation import NormalGivenNoise, PredictLevels, PredictNoise
from dgm.diffusion.schedule import LearnedSchedule, LinearSchedule
from dgm.diffusion.variance import LearnedShare
from dgm.distribution.binned_gaussian import BinnedGaussianLikelihood
from dgm.distribution.support import Levels, Reals
from dgm.nets.denoising import DenoisingMLP, DenoisingUNet
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "19_score_and_diffusion"
BRANCH = ("explicit", "bound", "diffusion")


def _denoiser(
    data: Levels | Reals, out: int, width: int, blocks: int, patch: int = 1, dropout: float = 0.0,
    classes: int = 0, widen: int = 2, seen: int = 1,
) -> nn.Module:  # fmt: skip
    """A U-Net for pictures whose sides can be halved, else a perceptron; ``out`` numbers a value.

    ``seen``: numbers that come in for every value.
    """
    side = data.shape[1:]
    if len(data.shape) == 3 and not any(s % (2 * patch) for s in side):
        channels = data.shape[0]
        return DenoisingUNet(
            seen * channels, side, out * channels, width, blocks, patch, dropout, classes, widen
        )
    return DenoisingMLP(data.dims, out, 2 * width, blocks + 1, dropout, classes, seen)


def _integers(data: Levels | Reals) -> None:
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")


def _normal_or_binned(data: Levels | Reals) -> Callable:
    """p(x | z_0) of mean and log scale: a normal law, of integers its mass in the bins."""
    if isinstance(data, Reals):
        return NormalGivenNoise
    unit = math.log((data.levels - 1) / 2)  # levels in one unit of the scale -1 .. 1

    def binned(mean: Tensor, log_scale: Tensor) -> BinnedGaussianLikelihood:
        return BinnedGaussianLikelihood(data, data.unscaled(mean), log_scale + unit)

    return binned


def ddpm(
    data: Levels | Reals, steps: int = 1000, width: int = 32, blocks: int = 2, dropout: float = 0.0,
    strata: int = 8,
) -> Diffusion:  # fmt: skip
    """DDPM: the network says what noise is in the picture; variances and bins as Gaussians have."""
    net = _denoiser(data, 1, width, blocks, dropout=dropout)
    predictor = PredictNoise(net, _normal_or_binned(data))
    schedule, process = LinearSchedule(-6.0, 6.0), VariancePreserving()
    return Diffusion(data, schedule, predictor, process, steps, strata, LearnedShare())


def ncsn(
    data: Levels | Reals, n_levels: int = 10, steps: int = 20, rate: float = 0.2, width: int = 32,
    blocks: int = 2, dropout: float = 0.0,
) -> NCSN:  # fmt: skip
    """NCSN: the scores of the data in ten noises, and walks from the widest to the narrowest."""
    data.count(n_levels, "n_levels", least=2)
    widest = 2.0 if isinstance(data, Levels) else 5.0
    ends = math.log10(widest), math.log10(widest / 100)
    sigmas = torch.logspace(*ends, n_levels)
    net = _denoiser(data, 1, width, blocks, dropout=dropout)
    return NCSN(data, net, sigmas, AnnealedLangevin(sigmas, steps, rate))


def edm(
    data: Levels | Reals, steps: int = 18, width: int = 32, blocks: int = 2, dropout: float = 0.0
) -> EDM:
    """EDM: preconditioned denoising, and draws by Heun's steps."""
    return EDM(data, _denoiser(data, 1, width, blocks, dropout=dropout), steps=steps)


def levels_diffusion(
    data: Levels, steps: int = 1000, width: int = 32, blocks: int = 2, patch: int = 1,
    dropout: float = 0.0, n_features: int = 0, widen: int = 2, strata: int = 8,
) -> Diffusion:  # fmt: skip
    """Diffusion over levels: the network says what level each pixel has, the schedule is learned.

    ``n_features`` numbers a pixel tilt its histogram; 0 for a logit of each level.
    """
    _integers(data)
    values = n_features or data.levels
    net = _denoiser(data, values, width, blocks, patch, dropout, widen=widen)
    predictor, schedule = PredictLevels(net, data, values), LearnedSchedule(-5.0, 5.5)
    return Diffusion(data, schedule, predictor, VariancePreserving(), steps, strata)


def guided_diffusion(
    data: Levels, steps: int = 1000, width: int = 32, blocks: int = 1, patch: int = 1,
    dropout: float = 0.0, n_features: int = 0, widen: int = 3, strata: int = 8, classes: int = 10,
    drop: float = 0.2,
) -> Diffusion:  # fmt: skip
    """Guided diffusion: one network with labels and without, so that draws can be pushed to one."""
    _integers(data)
    values = n_features or data.levels
    net = _denoiser(data, values, width, blocks, patch, dropout, classes, widen)
    predictor, schedule = PredictLevels(net, data, values), LearnedSchedule(-5.5, 6.0)
    labels = Levels((), classes)
    process = VariancePreserving()
    return Diffusion(data, schedule, predictor, process, steps, strata, None, labels, drop)


def absorbing_diffusion(
    data: Levels, stages: int = 0, width: int = 32, blocks: int = 2, patch: int = 1,
    dropout: float = 0.0, widen: int = 2, strata: int = 8,
) -> AbsorbingDiffusion:  # fmt: skip
    """Absorbing diffusion: pixels are hidden in random order, and guessed back one by one."""
    _integers(data)
    net = _denoiser(data, data.levels, width, blocks, patch, dropout, widen=widen, seen=2)
    return AbsorbingDiffusion(net, data, stages, strata)


def train_diffusion(
    model: nn.Module, dataset: Any, seed: int, *, jittered: float = 0.0,
    held_out: int | None = None, scored: int | None = None, **settings: Any,
) -> Fit:  # fmt: skip
    """Start at the histogram, then lower the bound, with labels where the model takes them.

    For the first ``jittered`` part of the steps pictures are moved a little. A recipe's test score
    is taken on the first ``scored`` test examples, on all where that is None (train.py reads it).
    """
    model.start_from(dataset.train)
    if jittered:
        until = round(jittered * settings["steps"])
        settings["augment"] = Jitter(dataset.levels, until=until, shift=0.25, turn=0.09)
    labelled = getattr(model, "condition", None) is not None
    examples = (dataset.train, dataset.train_y) if labelled else dataset.train
    return fit(model, examples, val=dataset.val[:held_out], seed=seed, progress=False, **settings)


_HO = ("Ho, Jain, Abbeel (2020)", "https://arxiv.org/abs/2006.11239")
_KINGMA = ("Kingma, Salimans, Poole, Ho (2021)", "https://arxiv.org/abs/2107.00630")
_AUSTIN = ("Austin et al. (2021)", "https://arxiv.org/abs/2107.03006")
_SONG = ("Song, Ermon (2019)", "https://arxiv.org/abs/1907.05600")
_KARRAS = ("Karras et al. (2022)", "https://arxiv.org/abs/2206.00364")
_GUIDANCE = ("Ho, Salimans (2022)", "https://arxiv.org/abs/2207.12598")
_PIXELS = Levels((1, 2, 2), 3)
_MNIST = Recipe(
    dict(width=32, blocks=2, patch=2, n_features=8, widen=2),
    dict(steps=3400, batch_size=32, lr=2e-3, weight_decay=0.01, average=0.999, clip_norm=1.0,
         warmup=200, eval_every=1700, held_out=500, scored=1000),
    train_diffusion,
)  # fmt: skip

_LEVELS_DIGITS = Recipe(
    dict(width=32, blocks=1, dropout=0.25),
    dict(steps=1500, batch_size=64, lr=2e-3, weight_decay=0.1, average=0.995, eval_every=250,
         jittered=0.7, clip_norm=1.0, warmup=50),
    train_diffusion, seeds=3,
)  # fmt: skip
_ABSORBING_DIGITS = replace(_LEVELS_DIGITS, fit=_LEVELS_DIGITS.fit | dict(steps=900))
_SMALL = dict(steps=3, strata=3, width=8)

ENTRIES = (
    Entry(
        levels_diffusion,
        "V21",
        _KINGMA,
        Tiny(_PIXELS, _SMALL, std=0.2),
        {"digits": _LEVELS_DIGITS},
    ),
    Entry(
        guided_diffusion,
        "V21",
        _GUIDANCE,
        Tiny(_PIXELS, _SMALL | dict(widen=1, classes=3), std=0.2),
        {"mnist": _MNIST},
    ),
    Entry(
        absorbing_diffusion,
        "V21",
        _AUSTIN,
        Tiny(_PIXELS, dict(width=8, strata=4), std=0.2),
        {"digits": _ABSORBING_DIGITS},
    ),
    Entry(ddpm, "V21", _HO, Tiny(_PIXELS, _SMALL, std=0.2)),
    Entry(
        ncsn,
        "E9",
        _SONG,
        Tiny(Reals((3,)), dict(n_levels=4, steps=3, width=8), std=0.2),
        branch=("explicit", "unnormalised", "energy"),
    ),
    Entry(
        edm,
        "E9 V21",
        _KARRAS,
        Tiny(Reals((3,)), dict(steps=4, width=8), std=0.2),
        branch=("explicit", "unnormalised", "energy"),
    ),
)
