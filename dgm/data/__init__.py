"""Data sets, all behind `data.load(name)`, which returns a `Dataset`.

dataset.py    Dataset, and how a known law fills it
toy.py        2-D toys with known density and entropy (their laws in plane.py)
images.py     digits, photograph patches, and the downloaded image sets
"""

import difflib
import inspect
from typing import Any

from dgm.data import images, toy
from dgm.data.dataset import Dataset

_SETS = {
    "digits": images.digits,
    "eight_gaussians": toy.eight_gaussians,
    "two_gaussians": toy.two_gaussians,
    "moons": toy.moons,
    "rings": toy.rings,
    "spirals": toy.spirals,
    "checkerboard": toy.checkerboard,
    "pinwheel": toy.pinwheel,
}


def names() -> list[str]:
    """Names that `load` knows."""
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
