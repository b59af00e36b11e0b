"""Planted faults and healthy models: what the audit must catch, and what it must leave alone.

A `Case` builds a model, a batch and the keyword arguments of `audit`. A planted one names the
checks that must fail; every fault is a real model with one line changed. The cases stand in
planted_flows.py, planted_mixtures.py, planted_latent.py, planted_autoregressive.py and
planted_pixel.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

# what the checks are called, short
SHAPE, ROW, EVAL = (
    "shape (B,) and finite",
    "one example = its row in a batch",
    "eval mode: same twice, no change",
)
TRIP, DET, ONE = "round trip", "log_det = autograd", "sums or integrates to one"
LAW, DRAWN, REF = "samples follow the density", "samples are well formed", "log_prob = reference"
LEAK, CHAIN, COND = (
    "no leak from the future",
    "log_prob = sum of conditionals",
    "samples follow the conditionals",
)
POST, PRIOR = "posterior draws follow log q", "prior samples follow its density"
X_ONE, X_LAW = "p(x|z) sums or integrates to one", "samples of x|z follow p(x|z)"
JOINT, PARTS, KL = (
    "samples = prior, then x|z",
    "elbo = log p(x, z) - log q",
    "kl term = log q - log p(z)",
)
IW1, RISE, EXACT = "elbo = iw_bound(1) in mean", "iw_bound rises with k", "bounds <= exact"
LOGMEAN = "iw_bound = log mean of k weights"
SUM = "exp(elbo) sums to one"
NOISE, BITS = "noise fills its bin", "uniform scores log2(levels) bits"
BINS, WEIGHT, BINLAW = (
    "bin masses sum to one",
    "exp(elbo) averages to the bin mass",
    "samples follow the bin masses",
)
GRAD, STATE, LOAD, FLOAT = (
    "every parameter gets a gradient", "every tensor is registered",
    "state_dict round trip", "float32 = float64",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """`build(seed) -> (model, x, keywords of audit)`; `caught_by` is empty for a healthy model."""

    name: str
    build: Callable
    caught_by: tuple[str, ...] = ()


HEALTHY: list[Case] = []
PLANTED: list[Case] = []


def healthy(make: Callable) -> Callable:
    """Register a function `() -> (model, x, keywords)` as a healthy model."""
    HEALTHY.append(Case(make.__name__, _seeded(make)))
    return make


def planted(*caught_by: str) -> Callable:
    """Register a function as a planted fault, with the checks that must catch it."""

    def register(make: Callable) -> Callable:
        PLANTED.append(Case(make.__name__, _seeded(make), caught_by))
        return make

    return register


def _seeded(make: Callable) -> Callable:
    def build(seed: int):
        torch.manual_seed(seed)
        return make()

    return build


# --- small parts and batches ----------------------------------------------------------------------


def net(inputs: int, outputs: int) -> nn.Module:
    """A small smooth conditioner."""
    return nn.Sequential(nn.Linear(inputs, 12), nn.Tanh(), nn.Linear(12, outputs))


def conv(inputs: int, outputs: int) -> nn.Module:
    """A small convolutional conditioner."""
    return nn.Sequential(nn.Conv2d(inputs, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, outputs, 1))


def table(dims: int) -> torch.Tensor:
    """A batch of real vectors."""
    return torch.randn(12, dims)


def images() -> torch.Tensor:
    """A batch of real images."""
    return torch.randn(8, 1, 4, 4)


def integers(dims: int = 2, levels: int = 4) -> torch.Tensor:
    """A batch of integer vectors."""
    return torch.randint(levels, (12, dims))
