"""Spline couplings, MAF and FFJORD of this package against ``nflows`` and ``zuko``.

Every contestant has the same network, batch and optimiser, and all take turns in one process; a
ratio is formed within a round, theirs over ours. ``README.md`` here says how to install the others.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from coupling import hardware, spread
from torch import Tensor, nn

from dgm.continuous.ode_layer import ODELayer
from dgm.continuous.solver import Solver
from dgm.continuous.trace import ExactTrace, HutchinsonTrace
from dgm.flow.masked_autoregressive import MaskedAutoregressive
from dgm.flow.spline import RationalQuadratic, ScaleAndShift
from dgm.flow.transform_coupling import TransformCoupling
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.mlp import MLP
from dgm.nets.time_mlp import TimeMLP

try:
    import zuko.transforms as zt
    from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform
    from nflows.transforms.coupling import PiecewiseRationalQuadraticCouplingTransform
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: see benchmarks/README.md for the libraries") from None

LAYERS, BINS, BOUND = 4, 8, 5.0
Maps = list[Callable[[Tensor], tuple[Tensor, Tensor]]]  # x -> z, log det


class NoContext(nn.Module):
    """A network as nflows calls it: with a context, and a flat answer."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        """x (B, features) -> (B, numbers)."""
        return self.net(x).flatten(1)


def splines(dims: int) -> dict[str, tuple[list[nn.Module], Maps]]:
    """Spline couplings of ``dims`` features."""
    half, size = dims // 2, 3 * BINS - 1
    nets = [MLP(half, half * size, (128, 128)) for _ in range(LAYERS)]
    ours = [TransformCoupling(net, RationalQuadratic(BINS, BOUND)) for net in nets]
    mask = torch.arange(dims) >= half  # nflows, zuko: what is changed
    theirs, others = [], []
    for k, net in enumerate(nets):
        turned = mask if k % 2 == 0 else ~mask
        made = PiecewiseRationalQuadraticCouplingTransform(
            turned.int() * 2 - 1, lambda i, o, net=net: NoContext(net), BINS, "linear", BOUND
        )
        theirs.append(made)

        def meta(a: Tensor, net: nn.Module = net) -> zt.Transform:
            numbers = net(a).unflatten(1, (half, size)).split((BINS, BINS, BINS - 1), -1)
            return zt.DependentTransform(zt.MonotonicRQSTransform(*numbers, bound=BOUND), 1)

        others.append(zt.CouplingTransform(meta, ~turned).call_and_ladj)
    return {"dgm": (nets, ours), "nflows": (nets, theirs), "zuko": (nets, others)}


def masked(dims: int) -> dict[str, tuple[list[nn.Module], Maps]]:
    """Affine masked autoregressive layers of ``dims`` features."""
    nets = [MaskedMLP(dims, 2, width=128) for _ in range(LAYERS)]
    ours, theirs, others = [], [], []
    for net in nets:
        ours.append(MaskedAutoregressive(net, ScaleAndShift()))
        made = MaskedAffineAutoregressiveTransform(dims, 8)
        made.autoregressive_net = NoContext(net)
        theirs.append(made)

        def meta(x: Tensor, net: nn.Module = net) -> zt.Transform:
            return zt.DependentTransform(zt.MonotonicAffineTransform(*net(x).unbind(-1)), 1)

        others.append(zt.AutoregressiveTransform(meta, dims).call_and_ladj)
    return {"dgm": (nets, ours), "nflows": (nets, theirs), "zuko": (nets, others)}


def continuous(dims: int, exact: bool) -> dict[str, tuple[list[nn.Module], Maps]]:
    """One field, solved by dopri5 at tolerance 1e-5; the trace exact, or by one noise."""
    field = TimeMLP(dims, 64)
    trace = ExactTrace() if exact else HutchinsonTrace()
    ours = ODELayer(field, trace, Solver("dopri5", tol=1e-5))
    others = zt.FreeFormJacobianTransform(
        field, 1.0, 0.0, field.parameters(), atol=1e-5, rtol=1e-5, exact=exact
    )
    return {"dgm": ([field], [ours]), "zuko": ([field], [others.call_and_ladj])}


def train_step(nets: list[nn.Module], maps: Maps, x: Tensor) -> Callable[[], Tensor]:
    """One step; the learning rate is tiny: speed is measured, the weights stay in place."""
    weights = [p for net in nets for p in net.parameters()]
    adam = torch.optim.Adam(weights, lr=1e-8, fused=True)

    def step() -> Tensor:
        adam.zero_grad()
        z, total = x, 0.0
        for each in maps:
            z, log_det = each(z)
            total = total + log_det
        loss = (0.5 * z.square().sum(1) - total).mean()
        loss.backward()
        adam.step()
        return loss.detach()

    return step


def race(players: dict, x: Tensor, rounds: int, block: float) -> dict:
    """Steps per second of each, and ratios of time, theirs over ours."""
    steps = {name: train_step(nets, maps, x) for name, (nets, maps) in players.items()}
    cost, times = {}, {name: [] for name in steps}
    for name, step in steps.items():
        for _ in range(3):
            step()
        start = time.process_time()
        step()
        cost[name] = max(time.process_time() - start, 1e-4)
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            n = max(1, round(block / cost[name]))
            start = time.process_time()
            for _ in range(n):
                steps[name]()
            times[name].append((time.process_time() - start) / n)
    ours = times["dgm"]
    found = {"steps/s": {name: round(len(t) / sum(t), 1) for name, t in times.items()}}
    for name in times.keys() - {"dgm"}:
        found[f"{name} / dgm"] = spread([b / a for a, b in zip(ours, times[name], strict=True)])
    return found


def main() -> None:
    """Run all races, print and write ``continuous.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--block", type=float, default=0.15, help="seconds a turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, points = torch.randn(128, 64), torch.randn(256, 2)
    races = {
        "spline couplings, 64 features": (splines(64), x),
        "MAF, 64 features": (masked(64), x),
        "FFJORD, 2 features, exact trace": (continuous(2, exact=True), points),
        "FFJORD, 64 features, exact trace": (continuous(64, exact=True), x[:32]),
        "FFJORD, 64 features, one noise": (continuous(64, exact=False), x),
    }
    found = {"hardware": hardware(1)}
    for name, (players, batch) in races.items():
        found[name] = race(players, batch, options.rounds, options.block)
        print(name, json.dumps(found[name]), flush=True)
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
