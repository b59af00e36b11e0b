"""The models of the benchmark, built alike, and the check that they are the same densities."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Reals
from dgm.flow.coupling import AffineCoupling
from dgm.flow.flow import Flow

try:
    import normflows
    import zuko
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: see benchmarks/README.md for the two libraries") from None


@dataclass(frozen=True)
class Size:
    """A table of ``dims`` numbers, ``couplings`` affine couplings of ReLU nets."""

    name: str
    dims: int
    couplings: int
    hidden: tuple[int, ...]
    batch: int


@dataclass(frozen=True)
class Contestant:
    """A model and the three calls a user makes; ``nets`` are its conditioners, data side first."""

    name: str
    model: nn.Module
    nets: list[nn.Module]
    loss: Callable[[Tensor], Tensor]
    sample: Callable[[int], Tensor]
    log_prob: Callable[[Tensor], Tensor]


def mlp(size: Size) -> nn.Sequential:
    """(B, D/2) -> (B, D), ReLU between the layers."""
    widths = (size.dims // 2, *size.hidden, size.dims)
    layers = [nn.Linear(i, o) for i, o in pairwise(widths)]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))[:-1]


class Unbounded(AffineCoupling):
    """The coupling without the tanh on its log-scale: the very function that normflows computes."""

    def _shift_and_log_scale(self, a: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(a).chunk(2, dim=1)


def ours(size: Size, coupling: type = AffineCoupling) -> Contestant:
    """This package; ``coupling=Unbounded`` leaves its bound on the log-scale out."""
    nets = [mlp(size) for _ in range(size.couplings)]
    flow = Flow([coupling(net) for net in nets], StandardNormal((size.dims,)), Reals((size.dims,)))
    name = "dgm" if coupling is AffineCoupling else "dgm, unbounded"
    return Contestant(name, flow, nets, lambda x: flow.loss(x).mean(), flow.sample, flow.log_prob)


def with_normflows(size: Size, tuned: bool = False) -> Contestant:
    """normflows as its documentation writes it: a block, then a swap of the halves.

    ``tuned`` leaves out what can be left out: blocks that alternate the half they change need no
    swap, and samples are drawn without the density that ``sample`` returns beside them.
    """
    nets, flows = [mlp(size) for _ in range(size.couplings)], []
    for k, net in enumerate(nets):
        mode = "channel_inv" if tuned and k % 2 else "channel"
        flows.append(normflows.flows.AffineCouplingBlock(net, scale_map="exp", split_mode=mode))
        if not tuned:
            flows.append(normflows.flows.Permute(size.dims, mode="swap"))
    base = normflows.distributions.DiagGaussian(size.dims, trainable=False)
    model = normflows.NormalizingFlow(base, flows)
    sample = (lambda n: model(base.sample(n))) if tuned else (lambda n: model.sample(n)[0])
    name = "normflows, tuned" if tuned else "normflows"
    return Contestant(name, model, nets, model.forward_kld, sample, model.log_prob)


def with_zuko(size: Size, slope: float = 1e-3) -> Contestant:
    """zuko's RealNVP; the distribution is made anew for every step only."""
    flow = zuko.flows.RealNVP(
        size.dims,
        transforms=size.couplings,
        hidden_features=size.hidden,
        univariate=partial(zuko.transforms.MonotonicAffineTransform, slope=slope),
    )
    nets, law = [layer.hyper for layer in flow.transform.transforms], flow()
    return Contestant(
        "zuko",
        flow,
        nets,
        lambda x: -flow().log_prob(x).mean(),
        lambda n: law.sample((n,)),
        law.log_prob,
    )


def conditioners_alone(size: Size) -> Contestant:
    """The floor: the same nets one after the other, and no coupling at all."""
    model = nn.ModuleList([mlp(size) for _ in range(size.couplings)])

    def chain(x: Tensor) -> Tensor:
        for net in model:
            x = net(x[:, : size.dims // 2])
        return x

    def sample(n: int) -> Tensor:
        return chain(torch.randn(n, size.dims))

    return Contestant(
        "conditioners alone", model, list(model), lambda x: chain(x).mean(), sample, chain
    )


def copy_weights(source: Contestant, target: Contestant) -> None:
    """The rivals' nets give shift and log-scale in turn, ours all shifts, then all log-scales."""
    for a, b in zip(source.nets, target.nets, strict=True):
        values = list(a.parameters())
        values[-2:] = [torch.stack(v.chunk(2), dim=1).flatten(0, 1) for v in values[-2:]]
        with torch.no_grad():
            for new, p in zip(values, b.parameters(), strict=True):
                p.copy_(new)


def compare(size: Size) -> dict[str, float]:
    """Largest difference in log_prob (nats, float64) between ours and each, with our weights.

    Bounds on the log-scale are lifted here: ours is a tanh, zuko's a soft clip, normflows has none.
    """
    torch.set_default_dtype(torch.float64)
    x, mine = torch.randn(64, size.dims), ours(size, Unbounded)
    rivals = (
        with_normflows(size),
        with_normflows(size, tuned=True),
        with_zuko(size, slope=float("inf")),
    )
    differences = {}
    for rival in rivals:
        copy_weights(mine, rival)
        with torch.no_grad():
            pairs = _same_laws(mine.model, rival, x)
        differences[rival.name] = max((a - b).abs().max().item() for a, b in pairs)
        assert differences[rival.name] < 1e-9, (rival.name, differences)
    torch.set_default_dtype(torch.float32)
    return differences


def _same_laws(flow: Flow, other: Contestant, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of log_prob that must agree.

    normflows calls base-to-data what we call data-to-base: its layers are reversed for one pair,
    and ours are read backwards for the other, which is the model that is timed.
    """
    if other.name == "zuko":  # it conditions on every second feature, we on the first half
        return [(flow.log_prob(torch.cat((x[:, 0::2], x[:, 1::2]), dim=1)), other.log_prob(x))]
    layers = [normflows.flows.Reverse(f) for f in reversed(other.model.flows)]
    z = flow.inverse(x)
    return [
        (flow.log_prob(x), normflows.NormalizingFlow(other.model.q0, layers).log_prob(x)),
        (flow.base.log_prob(z) - flow(z)[1], other.log_prob(x)),
    ]
