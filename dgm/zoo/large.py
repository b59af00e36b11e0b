"""What chapters say of models of 28 by 28 digits: bits, bytes, budgets, and what to beat.

Histograms: those of every pixel in the training part of MNIST, as the weights of Flow++ hold them.
"""

import math

import torch
from torch import Tensor

from dgm.evaluate import Estimate
from dgm.zoo import header
from dgm.zoo.weights import read_weights, weights_path

PIXELS = 784  # of a picture


def in_bits(score: Estimate, dims: int = PIXELS) -> Estimate:
    """A score in nats as one in bits per dimension.

    >>> print(in_bits(Estimate(1086.0, 10.9, 100)))
    1.998 ± 0.020
    """
    per_bit = dims * math.log(2)
    return Estimate(score.mean / per_bit, score.standard_error / per_bit, score.n)


def histogram_nats(pictures: Tensor) -> Estimate:
    """Nats of pictures (N, 1, 28, 28), 256 levels, each pixel alone by its histogram."""
    kept = read_weights(weights_path("flowpp", "mnist"))[0]
    by_level = kept["flow.layers.0.log_mass"].float().log_softmax(1)  # (784, 256)
    costs = -by_level.gather(1, pictures.flatten(1).T.long()).sum(0)  # (N,)
    return Estimate(costs.mean().item(), costs.std().item() / len(costs) ** 0.5, len(costs))


def stored_bits(name: str, data_name: str = "mnist") -> Estimate:
    """Bits/dim on all 10,000 test pictures, measured once, when the weights were made."""
    return in_bits(Estimate(*header(name, data_name)["seeds"][0][:2], 10_000))


def budget(model: torch.nn.Module, name: str, data_name: str = "mnist") -> str:
    """How many numbers a model of a recipe learned, and in how many minutes of one core."""
    size = sum(p.numel() for p in model.parameters())
    minutes = header(name, data_name)["train_seconds"] / 60
    return f"{size / 1000:.0f} thousand numbers, {minutes:.0f} minutes of one core"


def line(title: str, score: Estimate, model: torch.nn.Module | None = None, name: str = "") -> dict:
    """One line of a chapter's first table; ``model`` and ``name`` where there is a recipe."""
    found = {"model": title, "bits/dim": in_bits(score)}
    found["bytes"] = f"{score.mean / math.log(256):.0f}"
    found["all 10,000"] = stored_bits(name) if name else ""
    found["made with"] = budget(model, name) if name else ""
    return found


def published(title: str, bits: float, made_with: str = "") -> dict:
    """The same line for a figure that was published."""
    found = {"model": title, "bits/dim": f"{bits:g}", "bytes": f"{bits * PIXELS / 8:.0f}"}
    return found | {"all 10,000": f"{bits:g}", "made with": made_with}
