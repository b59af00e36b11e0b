"""Systems that model an example and its class together."""

import torch
from torch import Tensor, nn

from dgm.distribution.level_table import LevelTable
from dgm.hybrid.generative_classifier import GenerativeClassifier
from dgm.zoo.entry import Entry


def naive_bayes(shape: tuple[int, ...], levels: int, n_classes: int = 10) -> nn.Module:
    """One table of level frequencies per pixel and class.

    The tables start unequal, so that the classes part even where no example has a label.
    """
    tables = [LevelTable(shape, levels) for _ in range(n_classes)]
    for table in tables:
        nn.init.normal_(table.logits, std=0.5)
    return GenerativeClassifier(tables)


def _tiny(seed: int = 0) -> tuple[nn.Module, Tensor]:
    """Three classes of 2x3 images with three levels: 729 states."""
    generator = torch.Generator().manual_seed(seed)
    model = naive_bayes((1, 2, 3), levels=3, n_classes=3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model, torch.randint(3, (16, 1, 2, 3), generator=generator, dtype=torch.uint8)


ENTRIES = (
    Entry(
        name="naive_bayes",
        title="Naive Bayes on pixel levels",
        family="hybrid",
        build=naive_bayes,
        files=("hybrid/generative_classifier.py", "distribution/level_table.py"),
        chapter="01_joint_and_likelihood",
        rows=("F1", "F8"),
        paper="Ng and Jordan (2002), On discriminative vs. generative classifiers",
        url="https://ai.stanford.edu/~ang/papers/nips01-discriminativegenerative.pdf",
        branch=("explicit", "exact", "mixture"),
        tiny=_tiny,
    ),
)
