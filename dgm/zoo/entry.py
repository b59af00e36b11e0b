"""What the book knows of a system: its name, code, chapter, paper, checklist rows and recipes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from dgm.train import Fit
from dgm.zoo.fingerprint import code_of


@dataclass(frozen=True)
class Recipe:
    """How the committed weights of a system are made on one data set.

    ``sizes`` are the keyword arguments of ``Entry.build``; ``train(model, seed, **settings)`` fits
    the model in place and returns the `Fit`. All of it, and ``build`` itself, enters the
    fingerprint of the weights. The weights are those of seed 0; with ``seeds`` above 1 the recipe
    is also run under seeds 1, 2, ..., and the test nats of all come with the weights.
    """

    sizes: dict
    train: Callable[..., Fit]
    settings: dict = field(default_factory=dict)
    seeds: int = 1


@dataclass(frozen=True)
class Entry:
    """One named system of the book.

    ``build(shape, levels, **sizes)`` makes an untrained model of data of that shape (``levels`` is
    None for real values). ``tiny(seed)`` returns a small randomised model and a batch of its data,
    for the contract tests and the audit. ``files`` are what a reader copies, relative to ``dgm/``;
    ``branch`` is the path of the leaf on the map of generative models.
    """

    name: str
    title: str
    family: str
    build: Callable[..., nn.Module]
    files: tuple[str, ...]
    chapter: str
    rows: tuple[str, ...]
    paper: str
    url: str
    branch: tuple[str, ...]
    tiny: Callable[[int], tuple[nn.Module, Tensor]]
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def fingerprint(self, data_name: str) -> str:
        """16 hex digits that change when the recipe's code or sizes do, not with its comments."""
        recipe = self.recipes[data_name]
        parts = [repr(sorted(recipe.sizes.items())), code_of(self.build), code_of(recipe.train)]
        parts += [repr(sorted(recipe.settings.items()))] if recipe.settings else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
