"""What flows share: levels of a picture, the open box of integers, noise, base, moved pictures."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.dequantize import ConditionalAffine, Dequantize, FlowNoise
from dgm.flow.elementwise import Logit
from dgm.flow.flow import Flow
from dgm.flow.marginal import MarginalLogit
from dgm.flow.multiscale import Multiscale
from dgm.nets.mlp import MLP
from dgm.train import Fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import start_and_fit


def in_levels(data: Levels | Reals, steps: Sequence[int], step: Callable) -> list[nn.Module]:
    """``steps[i]`` steps at level i of an image, or all of them in a row on a vector.

    ``step(channels, place)`` gives the layers of one; an image at level i has 2^(i + 2) times the
    channels: four times as many at every squeeze, less the half that was left behind.
    """
    counts = [data.count(n, "steps") for n in steps]
    if len(data.shape) == 1 and data.dims % 2 == 0:
        return [layer for _ in range(sum(counts)) for layer in step(data.dims, ())]
    if len(data.shape) != 3 or not steps or any(side % 2 ** len(steps) for side in data.shape[1:]):
        raise ValueError(
            f"data must be vectors of even length, or images that can be halved {len(steps)} "
            f"times; got shape {data.shape}"
        )
    channels, height, width = data.shape
    levels = []
    for i, n in enumerate(counts):
        place = (height >> (i + 1), width >> (i + 1))
        levels.append([layer for _ in range(n) for layer in step(channels << (i + 2), place)])
    return [Multiscale(data.shape, levels)]


def noise_of(data: Levels, width: int, dropout: float) -> nn.Module | None:
    """Noise whose scale and shift in every bin are a function of the whole x, by a network of
    ``width``; None where that is 0, which is uniform noise.
    """
    if not width:
        return None
    encoder = nn.Sequential(nn.Flatten(), MLP(data.dims, width, (width,), dropout), nn.SiLU())
    last = MLP(width, 2 * data.dims, (), zero_last=True)
    halves = nn.Unflatten(1, (2 * data.shape[0], *data.shape[1:]))
    return FlowNoise(
        encoder, [ConditionalAffine(nn.Sequential(nn.Dropout(dropout), last, halves))], data
    )


def opened(data: Levels, marginals: bool) -> nn.Module:
    """The layer that opens the box of the levels."""
    return MarginalLogit(data.shape, data.levels) if marginals else Logit(data.levels)


def over_normal(
    data: Levels | Reals, layers: list[nn.Module], marginals: bool, noise_width: int = 0,
    noise_dropout: float = 0.0,
) -> nn.Module:  # fmt: skip
    """The layers over a standard normal; levels get a logit before them and are dequantised.

    With ``marginals`` the logit is of each entry's histogram; noise as in `noise_of`.
    """
    base, reals = StandardNormal((data.dims,)), Reals(data.shape)
    if isinstance(data, Reals):
        return Flow(layers, base, reals)
    flow = Flow([opened(data, marginals), *layers], base, reals)
    return Dequantize(flow, data, noise_of(data, noise_width, noise_dropout))


def jitter_and_fit(
    model: nn.Module, dataset: Any, seed: int, *, steps: int, shift: float, **settings: Any
) -> Fit:
    """`start_and_fit` with pictures that are moved a little in the first 80 % of the steps."""
    augment = Jitter(dataset.levels, round(0.8 * steps), shift, shift / 3)
    return start_and_fit(model, dataset, seed, steps=steps, augment=augment, **settings)
