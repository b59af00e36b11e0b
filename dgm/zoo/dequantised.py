"""What flows of integers share: how the box of the levels is opened, noise, and the base."""

from torch import nn

from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.dequantize import ConditionalAffine, Dequantize, FlowNoise
from dgm.flow.elementwise import Logit
from dgm.flow.flow import Flow
from dgm.flow.marginal import MarginalLogit
from dgm.nets.mlp import MLP


def noise_of(data: Levels, width: int, dropout: float) -> nn.Module | None:
    """Learned noise of a network of this width; None for none, which is uniform noise."""
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
    data: Levels | Reals, layers: list[nn.Module], marginals: bool, noise_width: int,
    noise_dropout: float,
) -> nn.Module:  # fmt: skip
    """The layers over a standard normal; levels get a logit before them and are dequantised."""
    base, reals = StandardNormal((data.dims,)), Reals(data.shape)
    if isinstance(data, Reals):
        return Flow(layers, base, reals)
    flow = Flow([opened(data, marginals), *layers], base, reals)
    return Dequantize(flow, data, noise_of(data, noise_width, noise_dropout))
