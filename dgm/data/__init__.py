"""Data sets, all behind `data.load(name)`, which returns a `Dataset`.

dataset.py    Dataset, and how a known law fills it
toy.py        2-D toys with known density and entropy (their laws: plane.py)
worlds.py     exact worlds: every state enumerated, or linear and Gaussian
images.py     digits, photograph patches, and the downloaded image sets
sprites.py    sprites with known factors, up to the exact dSprites grid
sequences.py  text, synthetic audio with known entropy rate (its laws: markov.py), spoken digits
party.py      three sounds to mix: organ, drums, singer
download.py   files by checksum from the network, or from the folder of DGM_DATA
formats.py    readers of those files
"""

import difflib
import inspect
from typing import Any

from dgm.data import images, sequences, sprites, toy, worlds
from dgm.data.dataset import Dataset

_SETS = {
    "digits": images.digits,
    "patches": images.patches,
    "sprites": sprites.sprites,
    "eight_gaussians": toy.eight_gaussians,
    "two_gaussians": toy.two_gaussians,
    "moons": toy.moons,
    "rings": toy.rings,
    "spirals": toy.spirals,
    "checkerboard": toy.checkerboard,
    "pinwheel": toy.pinwheel,
    "bars": worlds.bars,
    "ising": worlds.ising,
    "integer_grid": worlds.integer_grid,
    "linear_gaussian": worlds.linear_gaussian,
    "text": sequences.text,
    "ar2": sequences.ar2,
    "audio": sequences.audio,
    "mnist": images.mnist,
    "fashion_mnist": images.fashion_mnist,
    "cifar10": images.cifar10,
    "svhn": images.svhn,
    "omniglot": images.omniglot,
    "dsprites": images.dsprites,
    "tiny_shakespeare": sequences.tiny_shakespeare,
    "spoken_digits": sequences.spoken_digits,
}


def names() -> list[str]:
    """Names that `load` knows; those from "mnist" on are downloaded."""
    return list(_SETS)


def load(name: str, **options: Any) -> Dataset:
    """Return the data set of this name; its options are those of the function behind it.

    Raises
    ------
    ValueError
        For a name or an option that does not exist (with the nearest names), or a bad value.
    """
    if name not in _SETS:
        near = difflib.get_close_matches(str(name), _SETS, n=3, cutoff=0.4) or names()
        raise ValueError(f"no data set is called {name!r}; nearest: {', '.join(near)}")
    allowed = list(inspect.signature(_SETS[name]).parameters)
    for option in options:
        if option not in allowed:
            raise ValueError(f"data set {name!r} has no option {option!r}; it has {allowed}")
    return _SETS[name](**options)
