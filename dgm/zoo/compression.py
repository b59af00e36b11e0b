"""The integer flow of chapter 27, and codecs for what other chapters have trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from dgm.compression.integer_flow import IntegerFlow, LeavingStage
from dgm.compression.rounded_coupling import RoundedCoupling
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.distribution.support import Levels
from dgm.nets.mlp import ResidualMLP
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "27_compression"
BRANCH = ("explicit", "exact", "flow")


def leaving_order(shape: tuple[int, ...]) -> list[list[int]]:
    """Flat places in groups, in the order in which they leave.

    Of a picture first one colour of the checkerboard, then half of the other, so that every second
    row and column stays; and so on with these. Of anything else every second place.
    """
    places, groups = torch.arange(torch.Size(shape).numel()).view(shape), []
    while places.numel() > 1:
        if places.ndim == 3 and not places.shape[1] % 2 and not places.shape[2] % 2:
            white = torch.cat((places[:, ::2, 1::2].flatten(), places[:, 1::2, ::2].flatten()))
            groups += [white.tolist(), places[:, 1::2, 1::2].flatten().tolist()]
            places = places[:, ::2, ::2]
            if places[0].numel() == 1:
                places = places.flatten()
        else:
            places = places.flatten()
            groups.append(places[1::2].tolist())
            places = places[::2]
    return [*groups, places.flatten().tolist()]


def _couplings(
    leaves: list[int], stays: list[int], levels: int, n: int, net: Callable, straight: bool
) -> list[nn.Module]:
    """Couplings that move one half of what leaves given all the rest, in turn."""
    halves, found = (leaves[::2], leaves[1::2]), []
    for k in range(n):
        moved, other = halves[(k + 1) % 2], halves[k % 2]
        seen = stays + other
        if moved and seen:
            layer = RoundedCoupling(net(len(seen), len(moved)), seen, moved, levels,
                                    straight=straight)  # fmt: skip
            found.append(layer)
    return found


def integer_flow(
    data: Levels, couplings: int = 1, width: int = 64, blocks: int = 1, components: int = 5,
    law_width: int = 64, law_blocks: int = 1, dropout: float = 0.0, least_width: int = 32,
    looks: bool = True, straight: bool = False,
) -> IntegerFlow:  # fmt: skip
    """Integer discrete flow: rounded couplings, and logistic laws of what leaves each stage.

    ``looks``: the law of what leaves looks at what stays; else it is the same for all pictures.
    ``straight``: the straight-through gradient of rounding. Stages of fewer than 8 entries have
    networks of ``least_width``.
    """
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    data.count(couplings, "couplings")
    data.count(components, "components", least=1)
    start = torch.zeros(3, components)  # logits, means, log scales
    start[1], start[2] = torch.linspace(-1, 1, components + 2)[1:-1], -2.0
    rest, stages = list(range(data.dims)), []
    for group in leaving_order(data.shape):
        chosen = set(group)
        leaves = [i for i, place in enumerate(rest) if place in chosen]
        stays = [i for i, place in enumerate(rest) if place not in chosen]
        few = len(leaves) < 8
        sizes = (min(least_width, width), min(least_width, law_width))
        wide, law_wide = sizes if few else (width, law_width)
        shift = partial(ResidualMLP, width=wide, blocks=blocks)
        moves = _couplings(leaves, stays, data.levels, couplings, shift, straight)
        net, law = None, DiscretizedLogisticMixture
        if looks and stays:
            out = len(leaves) * 3 * components
            net = ResidualMLP(len(stays), out, law_wide, law_blocks, dropout)
        stages.append(LeavingStage(moves, leaves, stays, net, law, start.flatten(), data.levels))
        rest = [rest[i] for i in stays]
    return IntegerFlow(stages, data)


def less_and_less_jitter(
    model: IntegerFlow, dataset: Any, seed: int, *, steps: int, shift: float, turn: float,
    **settings: Any,
) -> Fit:  # fmt: skip
    """`fit` on pictures that are jittered, less and less, in the first 80 % of the steps."""
    jitter = Jitter(dataset.levels, round(0.8 * steps), shift, turn)
    return fit(model, dataset, steps=steps, seed=seed, augment=jitter, **settings)


_IDF = ("Hoogeboom, Peters, van den Berg, Welling (2019)", "https://arxiv.org/abs/1905.07376")
_DIGITS = Recipe(
    dict(width=64, law_width=128, dropout=0.25),
    dict(steps=2400, batch_size=64, lr=2e-3, weight_decay=0.1, average=0.998, shift=0.3, turn=0.1,
         warmup=100, clip_norm=1.0, eval_every=250, progress=False),
    less_and_less_jitter, seeds=3,
)  # fmt: skip

ENTRIES = (
    Entry(
        integer_flow, "F12", _IDF,
        Tiny(Levels((1, 2, 2), 5), dict(couplings=2, width=8, law_width=8, components=2), std=0.2),
        {"digits": _DIGITS},
    ),
)  # fmt: skip
