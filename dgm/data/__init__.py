"""Data sets, all behind `data.load(name)`, which returns a `Dataset`.

| file               | what it holds                                                          |
|--------------------|------------------------------------------------------------------------|
| `dataset.py`       | `Dataset`, and how a known law fills it                                |
| `toy.py`           | 2-D toys with known density and entropy (their laws: `plane.py`)       |
| `plane.py`         | laws in the plane                                                      |
| `worlds.py`        | exact worlds: every state enumerated, or linear and Gaussian           |
| `four_sensors.py`  | an exact world with a latent cause: its posterior and bounds are known |
| `images.py`        | digits, photograph patches, and the downloaded image sets              |
| `shipped.py`       | real pictures that come with the package, in embedded/                 |
| `sprites.py`       | sprites with known factors, up to the exact dSprites grid              |
| `color_sprites.py` | sprites in colour                                                      |
| `sprite_variants.py` | sprites among noise, sprites in a random colour                      |
| `turning.py`       | a molecule that turns in space: pictures whose rotation is known       |
| `turned_digits.py` | digits turned by known angles: the same task in several domains        |
| `census.py`        | workers of a census: a task and sensitive attributes, embedded         |
| `known_bias.py`    | a table whose bias is known, with every best decision in closed form   |
| `unfair_sprites.py` | sprites whose factors go together                                      |
| `outlier_sets.py`  | pictures that are no clothes, for models of clothes                    |
| `sequences.py`     | text, synthetic audio with known entropy rate, spoken digits           |
| `markov.py`        | laws of sequences                                                      |
| `party.py`         | three sounds to mix: organ, drums, singer                              |
| `own.py`           | your own: `from_array`, `from_folder`, `from_table`                    |
| `download.py`      | files by checksum from the network, or from the folder of DGM_DATA     |
| `formats.py`       | readers of those files                                                 |

A module is imported when a set of it is asked for, so a chapter rests on the sets it loads only.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from dgm.data.dataset import Dataset
from dgm.distribution.support import Levels, Reals

_SETS = {  # name -> module; the function there has the set's name
    "digits": "images",
    "patches": "images",
    "mnist_test": "shipped",
    "binary_mnist_test": "shipped",
    "fashion_small": "shipped",
    "sprites": "sprites",
    "color_sprites": "color_sprites",
    "eight_gaussians": "toy",
    "two_gaussians": "toy",
    "moons": "toy",
    "rings": "toy",
    "spirals": "toy",
    "checkerboard": "toy",
    "pinwheel": "toy",
    "bars": "worlds",
    "ising": "worlds",
    "integer_grid": "worlds",
    "linear_gaussian": "worlds",
    "text": "sequences",
    "ar2": "sequences",
    "audio": "sequences",
    "echo": "sequences",
    "mnist": "images",
    "binary_mnist": "images",
    "fashion_mnist": "images",
    "cifar10": "images",
    "svhn": "images",
    "omniglot": "images",
    "dsprites": "images",
    "tiny_shakespeare": "sequences",
    "spoken_digits": "sequences",
}


def names() -> list[str]:
    """Names that `load` knows; those from "mnist" on are downloaded."""
    return list(_SETS)


def loader(name: str) -> Callable[..., Dataset]:
    """Return the function that makes the data set of this name.

    Raises
    ------
    ValueError
        For a name that does not exist, with the nearest ones.
    """
    if name not in _SETS:
        near = difflib.get_close_matches(str(name), _SETS, n=3, cutoff=0.4) or names()
        raise ValueError(f"no data set is called {name!r}; nearest: {', '.join(near)}")
    return getattr(importlib.import_module(f"dgm.data.{_SETS[name]}"), name)


def load(name: str, **options: Any) -> Dataset:
    """Return the data set of this name; its options are those of the function behind it.

    Raises
    ------
    ValueError
        For a name or an option that does not exist (with the nearest names), or a bad value.
    """
    make = loader(name)
    allowed = list(inspect.signature(make).parameters)
    for option in options:
        if option not in allowed:
            raise ValueError(f"data set {name!r} has no option {option!r}; it has {allowed}")
    return make(**options)


_KINDS = {  # what a downloaded set is of, known without it
    "mnist": Levels((1, 28, 28), 256),
    "binary_mnist": Levels((1, 28, 28), 2),
}


def kind(name: str, **options: Any) -> Levels | Reals:
    """What a model of this data set is built with; those of MNIST are known without a download.

    Raises
    ------
    ValueError
        As `load`.
    """
    return _KINDS[name] if name in _KINDS and not options else load(name, **options).kind


def __getattr__(name: str) -> Callable[..., Dataset]:
    """``data.from_array``, ``from_folder`` and ``from_table``, imported when asked for."""
    if name not in ("from_array", "from_folder", "from_table"):
        raise AttributeError(f"module 'dgm.data' has no attribute {name!r}")
    return getattr(importlib.import_module("dgm.data.own"), name)
