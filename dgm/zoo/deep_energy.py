"""The energies of chapter 18: their Z is summed, learned, annealed, or not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from dgm.deep_energy.contrast import Contrast
from dgm.deep_energy.deep_energy import DeepEnergy
from dgm.deep_energy.ising import IsingModel
from dgm.deep_energy.langevin import Langevin
from dgm.deep_energy.mala import MALA
from dgm.deep_energy.matching import DenoisingMatch, SlicedMatch
from dgm.deep_energy.noise_contrast import NoiseContrast
from dgm.deep_energy.plane_energy import GridLikelihood, PlaneEnergy
from dgm.deep_energy.replay_buffer import ReplayBuffer
from dgm.distribution.support import Levels, Reals
from dgm.nets.energy_net import ConvEnergy, Waves
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.train.unattended import tend
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.studies.judges import distance_to

CHAPTER = "18_deep_energy"
BRANCH = ("explicit", "unnormalised", "energy")


def _without_level(net: nn.Sequential) -> nn.Sequential:
    """A network whose last layer has no bias: a constant in an energy says nothing."""
    net[-1].register_parameter("bias", None)
    return net


def ising_model(data: Levels, coupling: float = 0.2) -> IsingModel:
    """Ising model: neighbours that agree, two numbers, its exact sum row by row."""
    return IsingModel(data, coupling)


def _in_the_plane(data: Reals, objective: nn.Module, hidden: tuple[int, ...]) -> PlaneEnergy:
    """A perceptron over waves in the plane, however it is trained."""
    net = nn.Sequential(Waves(getattr(data, "dims", 1)), *_without_level(MLP(64, 1, hidden)))
    return PlaneEnergy(DeepEnergy(data, net, objective, Langevin(0.01)))


def plane_energy(data: Reals, hidden: tuple[int, ...] = (64, 64), n: int = 64) -> PlaneEnergy:
    """Energy on a grid: its Z is summed in the plane, so likelihood trains it."""
    return _in_the_plane(data, GridLikelihood(n), hidden)


def noise_contrastive_energy(
    data: Reals, hidden: tuple[int, ...] = (64, 64), ratio: int = 4
) -> PlaneEnergy:
    """Noise-contrastive energy: a classifier of data against noise, log Z learned."""
    return _in_the_plane(data, NoiseContrast(ratio), hidden)


def sliced_energy(data: Reals, hidden: tuple[int, ...] = (64, 64), slices: int = 2) -> PlaneEnergy:
    """Sliced score matching: the slope of an energy fitted along random directions."""
    return _in_the_plane(data, SlicedMatch(slices), hidden)


def denoising_energy(
    data: Reals, hidden: tuple[int, ...] = (64, 64), noise: float = 0.1
) -> PlaneEnergy:
    """Denoising score matching: the slope of an energy as the way back from noise."""
    return _in_the_plane(data, DenoisingMatch(noise), hidden)


def contrastive_energy(
    data: Levels | Reals, hidden: tuple[int, ...] = (128, 128), noise: float = 0.15,
    chains: int = 1000, chain_steps: int = 20, step: float = 0.01, fresh: float = 0.02,
    steps: int = 200,
) -> DeepEnergy:  # fmt: skip
    """Contrastive energy: data down, chains up; Langevin's steps accepted or refused."""
    net = _without_level(MLP(data.dims, 1, hidden))
    contrast = Contrast(ReplayBuffer(data.dims, chains, fresh), chain_steps, noise)
    return DeepEnergy(data, net, contrast, MALA(step), steps)


def smoothed_energy(
    data: Levels | Reals, widths: tuple[int, ...] = (24, 48), hidden: int = 256,
    noise: float = 0.3, step: float = 0.0135, steps: int = 100,
) -> DeepEnergy:  # fmt: skip
    """Smoothed energy: of data with noise, which bounds its curvature; chains, then a guess."""
    net = ConvEnergy(data.shape, widths, hidden)
    return DeepEnergy(data, net, DenoisingMatch(noise), MALA(step), steps)


def tend_and_draw(model: DeepEnergy, dataset: Any, seed: int, **settings: Any) -> Fit:
    """Start at the training data, `tend`, and see how near draws are to the validation digits."""
    model.start_from(dataset.train)
    tended = tend(model, dataset.train, seed=seed, **settings)
    found = distance_to(dataset.val, dataset.name)(model)
    return replace(tended.fit, best_val=found)


def match_and_tend(
    model: DeepEnergy, dataset: Any, seed: int, *, match: dict, tended: dict, chains: int = 256,
    chain_steps: int = 8, fresh: float = 0.03,
) -> Fit:  # fmt: skip
    """Slopes first, then chains: `fit` by denoising, then contrast on the same noise by `tend`.

    The chains begin at the Gaussian and are not kept with the model.
    """
    # slopes
    model.start_from(dataset.train)
    fit(model, dataset.train, seed=seed, **match)
    # chains
    denoising, walker = model.objective, model.walker
    buffer = ReplayBuffer(model.data.dims, chains, fresh)
    buffer.fill(walker(model.tilted, model.base_draws(chains), 40)[0])
    model.objective = Contrast(buffer, chain_steps, denoising.noise)
    fitted = tend(model, dataset.train, seed=seed, **tended).fit
    # what draws from noise are worth
    model.objective = denoising
    found = distance_to(dataset.val, dataset.name)(model.eval())
    return replace(fitted, best_val=found)


_ISING = ("Ising (1925), Kramers and Wannier (1941)", "https://doi.org/10.1103/PhysRev.60.252")
_LECUN = ("LeCun et al. (2006)", "http://yann.lecun.com/exdb/publis/pdf/lecun-06.pdf")
_GUTMANN = ("Gutmann, Hyvarinen (2010)", "https://proceedings.mlr.press/v9/gutmann10a.html")
_SONG = ("Song, Garg, Shi, Ermon (2019)", "https://arxiv.org/abs/1905.07088")
_VINCENT = ("Vincent (2011)", "https://doi.org/10.1162/NECO_a_00142")
_DU = ("Du, Mordatch (2019)", "https://arxiv.org/abs/1903.08689")
_SAREMI = ("Saremi, Hyvarinen (2019)", "https://arxiv.org/abs/1903.02334")
_BITS = Levels((1, 2, 2), 2)
_PLANE = Reals((2,))
_SMALL = dict(hidden=(7, 5))
_TINY_CONTRAST = dict(hidden=(7, 5), chains=70, chain_steps=3, steps=5)
_TINY_SMOOTHED = dict(widths=(3, 4), hidden=5, steps=5)
_DIGITS = Recipe(
    dict(),
    dict(steps=500, batch_size=64, lr=2e-3, average=0.99),
    tend_and_draw, seeds=3,
)  # fmt: skip
_MNIST = Recipe(
    dict(),
    dict(match=dict(steps=3000, batch_size=64, lr=1e-3, warmup=100, average=0.99,
                    schedule="cosine", progress=False),
         tended=dict(steps=2200, batch_size=64, lr=4e-4, average=0.995, most=60.0)),
    match_and_tend,
)  # fmt: skip

ENTRIES = (
    Entry(plane_energy, "E1", _LECUN, Tiny(_PLANE, _SMALL | dict(n=40))),
    Entry(ising_model, "E15 E2", _ISING, Tiny(Levels((1, 2, 3), 2))),
    Entry(noise_contrastive_energy, "E1", _GUTMANN, Tiny(_PLANE, _SMALL)),
    Entry(sliced_energy, "E1", _SONG, Tiny(_PLANE, _SMALL)),
    Entry(denoising_energy, "E1", _VINCENT, Tiny(_PLANE, _SMALL)),
    Entry(
        contrastive_energy, "E8 E2", _DU, Tiny(Levels((1, 2, 2), 3), _TINY_CONTRAST),
        {"digits": _DIGITS},
    ),
    Entry(
        smoothed_energy, "E8 E3", _SAREMI, Tiny(Levels((1, 4, 4), 5), _TINY_SMOOTHED),
        {"mnist": _MNIST},
    ),
)  # fmt: skip
