"""What the book knows of a system, as data: its builder, rows, source, sizes and recipes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dgm.distribution.support import Levels, Reals
from dgm.source import DGM
from dgm.train import Fit, fit
from dgm.zoo.arguments import checked


def start_and_fit(
    model: nn.Module, dataset: Any, seed: int, held_out: int | None = None, **settings: Any
) -> Fit:
    """How most recipes train: ``start_from`` the training data where the model can, then `fit`.

    A model with labels trains on log p(x | y) and is validated by log p(x); on the first
    ``held_out`` validation examples, on all where that is None.
    """
    if hasattr(model, "start_from"):
        model.start_from(dataset.train)
    labelled = getattr(model, "condition", None) is not None
    examples = (dataset.train, dataset.train_y) if labelled else dataset.train
    return fit(model, examples, val=dataset.val[:held_out], seed=seed, **settings)


def warm_and_fit(
    model: nn.Module,
    dataset: Any,
    seed: int,
    *,
    warm: int,
    beta: float = 0.2,
    average: float = 0.0,
    held_out: int | None = None,
    checkpoint: Path | None = None,
    **settings: Any,
) -> Fit:
    """For VAEs: ``warm`` steps with a light KL term, so that codes get used; then `start_and_fit`.

    A decoder that starts at the histogram gains so little from a code at first that the KL term
    would close it for good.
    """
    model.start_from(dataset.train)
    model.beta = beta
    first = checkpoint and checkpoint.with_name(f"warm-{checkpoint.name}")
    begin = dict(steps=warm, schedule="constant", checkpoint=first)
    fit(model, dataset.train, seed=seed, **settings | begin)
    model.beta = 1.0
    rest = dict(val=dataset.val[:held_out], average=average, checkpoint=checkpoint)
    return fit(model, dataset.train, seed=seed + 1000, **settings | rest)


@dataclass(frozen=True)
class Tiny:
    """Sizes small enough for exact answers: what the contract tests and the audit look at.

    ``std`` is the noise that moves every parameter away from where it starts.
    """

    data: Levels | Reals
    sizes: dict[str, Any] = field(default_factory=dict)
    std: float = 0.3


@dataclass(frozen=True)
class Recipe:
    """How the weights of a system are made on one data set.

    Parameters
    ----------
    sizes : keyword arguments of the builder.
    fit : settings of ``train``, by default those of `dgm.train.fit`.
    train : ``train(model, dataset, seed, **fit)`` fits the model in place; returns the `Fit`.
    data : options of ``data.load``.
    of : name of the data set, where the recipe has another one ("mnist_gpu").
    seeds : the weights are those of seed 0; with more, the test nats of seeds 0, 1, ... come too.
    scale : "laptop", or "gpu" where it is too much for one; ``train`` of a gpu recipe also takes
        ``checkpoint=``, the file to resume from.
    worth : where time is short, recipes of more worth run first (equal ones as listed).
    """

    sizes: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    train: Callable[..., Fit] = start_and_fit
    data: dict[str, Any] = field(default_factory=dict)
    of: str = ""
    seeds: int = 1
    scale: str = "laptop"
    worth: float = 1.0


@dataclass(frozen=True)
class Entry:
    """One named system of the book, listed in the ``ENTRIES`` of its zoo module.

    The module says what its entries share: ``CHAPTER``, the stem of a notebook, and ``BRANCH``, the
    path on the map of models. Name and title come from the builder, its docstring beginning with
    the title and a colon: ``"Glow: steps of ..."``.

    Parameters
    ----------
    build : ``build(data, **sizes)`` makes an untrained model of that `Levels` or `Reals`, or
        raises a ValueError that names data.
    rows : checklist rows, "N4 N15".
    source : paper and address.
    tiny : see `Tiny`.
    recipes : by the name of a data set; a second one for the same set says ``of`` which it is.
    branch : where it differs from the module's.
    """

    build: Callable[..., nn.Module]
    rows: str
    source: tuple[str, str]
    tiny: Tiny
    recipes: dict[str, Recipe] = field(default_factory=dict)
    branch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        module = sys.modules[self.build.__module__]
        object.__setattr__(self, "branch", self.branch or module.BRANCH)
        object.__setattr__(self, "build", checked(self.build))

    @property
    def name(self) -> str:
        """What `zoo.get` calls it: the builder's name."""
        return self.build.__name__

    @property
    def title(self) -> str:
        """The words before the colon of the builder's docstring."""
        return self.build.__doc__.split(":")[0]

    @property
    def room(self) -> str:
        """The zoo module, which carries the name of its folder on the ground floor."""
        return self.build.__module__.rpartition(".")[2]

    @property
    def chapter(self) -> str:
        """Stem of the notebook."""
        return sys.modules[self.build.__module__].CHAPTER

    def data_of(self, recipe: str) -> str:
        """Name of the data set of a recipe."""
        return self.recipes[recipe].of or recipe

    @property
    def files(self) -> tuple[str, ...]:
        """Files of ``dgm`` that the builder reaches outside the zoo, those of its room first."""
        reached = DGM.reach([(self.build.__module__, self.name)])
        files = dict.fromkeys(d.file for d in reached if not d.file.startswith("zoo/"))
        return tuple(sorted(files, key=lambda file: file.split("/")[0] != self.room))

    def small(self, seed: int = 0) -> tuple[Tensor | nn.Module, ...]:
        """A randomised tiny model in eval mode, a batch of its data, and labels if it takes any.

        The architecture is the same for every seed.
        """
        data, sizes, std = self.tiny.data, self.tiny.sizes, self.tiny.std
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.build(data, **sizes)
            size = (16, *data.shape)
            integers = isinstance(data, Levels)
            x = data.stored(torch.randint(data.levels, size) if integers else torch.randn(size))
            condition = getattr(model, "condition", None)
            y = () if condition is None else (torch.randint(condition.levels, (16,)),)
            with torch.no_grad():
                model.train().loss(x, *y)  # data-dependent initialisation
                for parameter in model.parameters():
                    parameter.add_(std * torch.randn_like(parameter))
        return model.eval(), x, *y
