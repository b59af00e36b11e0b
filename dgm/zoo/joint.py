"""Chapter 1: systems that know p(x), alone or together with the class."""

from torch import nn

from dgm.distribution.level_table import LevelTable
from dgm.distribution.support import Levels, Reals
from dgm.joint.generative_classifier import GenerativeClassifier
from dgm.joint.quadrature import QuadratureDensity
from dgm.nets.mlp import MLP
from dgm.zoo.entry import Entry, Tiny

CHAPTER = "01_joint_and_likelihood"
BRANCH = ("explicit", "exact", "mixture")


def naive_bayes(data: Levels, n_classes: int = 10) -> GenerativeClassifier:
    """Naive Bayes on pixel levels: one table of level frequencies per pixel and class.

    The tables start unequal, so that the classes part even where no example has a label.
    """
    if not isinstance(data, Levels):
        raise ValueError(f"data must be Levels, integers that can be counted, got {data}")
    tables = [LevelTable(data) for _ in range(n_classes)]
    for table in tables:
        nn.init.normal_(table.logits, std=0.5)
    return GenerativeClassifier(data, Levels((), n_classes), tables)


def grid_energy(
    data: Reals, reach: float = 8.0, width: int = 64, n_cells: int = 64
) -> QuadratureDensity:
    """A network normalised on a grid: exp of a small perceptron over [-reach, reach]^D, D <= 2."""
    if not isinstance(data, Reals) or data.shape not in ((1,), (2,)):
        raise ValueError(f"data must be Reals of shape (1,) or (2,), got {data} {data.shape}")
    net = MLP(data.dims, 1, hidden=(width, width))
    net[-1].register_parameter("bias", None)  # it would cancel in g / Z
    return QuadratureDensity(data, net, [(-reach, reach)] * data.dims, n=n_cells)


ENTRIES = (
    Entry(
        naive_bayes,
        "F1 F8",
        (
            "Ng and Jordan (2002), On discriminative vs. generative classifiers",
            "https://ai.stanford.edu/~ang/papers/nips01-discriminativegenerative.pdf",
        ),
        Tiny(Levels((1, 2, 3), 3), {"n_classes": 3}, std=1.0),
    ),
    Entry(
        grid_energy,
        "F6 F7",
        (
            "LeCun et al. (2006), A tutorial on energy-based learning",
            "http://yann.lecun.com/exdb/publis/pdf/lecun-06.pdf",
        ),
        Tiny(Reals((2,)), {"reach": 6.0, "width": 8, "n_cells": 96}, std=0.5),
        branch=("explicit", "unnormalised", "energy"),
    ),
)
