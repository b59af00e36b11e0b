"""RealNVP of this package against ``normflows`` and ``zuko``: the same network, the same batch.

All models live in one process and take turns, in an order shuffled every round; the ratio theirs to
ours is formed within a round, so that a machine that slows down slows both.  ``README.md`` here
says how to install the two libraries beside the package.
"""

import argparse
import gc
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import contestants
import torch
from contestants import Contestant, Size
from torch import Tensor

TARGET = 1.2  # times normflows
BLOCK = 0.08  # seconds that one model is timed for at a time
UNITS = {"train": "steps/s", "sample": "samples/s", "log_prob": "examples/s"}
SIZES = (
    Size("digits", dims=64, couplings=8, hidden=(128, 128), batch=128),
    Size("toy", dims=2, couplings=8, hidden=(64, 64), batch=256),
)


def calls(contestant: Contestant, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """What is timed.  The learning rate is tiny: speed is measured, the weights stay in place."""
    adam = torch.optim.Adam(contestant.model.parameters(), lr=1e-7, fused=True)

    def train() -> Tensor:
        adam.zero_grad()
        loss = contestant.loss(x)
        loss.backward()
        adam.step()
        return loss.detach()

    return {
        "train": train,
        "sample": torch.no_grad()(lambda: contestant.sample(len(x))),
        "log_prob": torch.no_grad()(lambda: contestant.log_prob(x)),
    }


def seconds(call: Callable[[], Tensor], repeats: int) -> float:
    """Processor time of one call: what else the machine does is not counted (one thread)."""
    start = time.process_time()
    for _ in range(repeats):
        result = call()
    elapsed = time.process_time() - start
    assert torch.isfinite(result).all()
    return elapsed / repeats


def race(size: Size, rounds: int) -> tuple[dict, int]:
    """Seconds a call, ``times[what][name]`` a list over rounds, and the number of parameters."""
    mine, *others = players = (
        contestants.ours(size),
        contestants.ours(size, contestants.Unbounded),
        contestants.with_normflows(size),
        contestants.with_normflows(size, tuned=True),
        contestants.with_zuko(size),
        contestants.conditioners_alone(size),
    )
    for rival in others[1:-1]:
        contestants.copy_weights(mine, rival)
    for player in players:
        player.model.eval()  # as a user draws; nothing else here depends on the mode
    counts = {c.name: sum(p.numel() for p in c.model.parameters()) for c in players}
    assert len(set(counts.values())) == 1, counts
    x = torch.randn(size.batch, size.dims)
    todo = {c.name: calls(c, x) for c in players}
    repeats = {}
    for what in UNITS:
        for each in todo.values():
            seconds(each[what], 20)  # warm up
        repeats[what] = max(1, round(BLOCK / seconds(todo["dgm"][what], 20)))
    times = {what: {name: [] for name in todo} for what in UNITS}
    for _ in range(rounds):
        for what in UNITS:
            gc.collect()
            for name in random.sample(list(todo), len(todo)):
                times[what][name].append(seconds(todo[name][what], repeats[what]))
    return times, counts["dgm"]


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 3), "q1": round(low, 3), "q3": round(high, 3)}


def summary(times: dict[str, list[float]], per_call: int) -> dict:
    """Rates, and ratios (theirs over the time of ours, of ours without its bound, of the floor)."""

    def ratios(name: str) -> dict[str, dict[str, float]]:
        return {
            rival: spread([b / a for a, b in zip(times[name], times[rival], strict=True)])
            for rival in ("normflows", "normflows, tuned", "zuko")
        }

    return {
        "rate": {name: round(per_call / statistics.median(t)) for name, t in times.items()},
        "ratio": ratios("dgm"),
        "ratio_unbounded": ratios("dgm, unbounded"),
        "ceiling": ratios("conditioners alone"),
    }


def hardware(threads: int) -> dict:
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    )
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": [round(v, 2) for v in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "normflows", "zuko")},
    }


def show(result: dict) -> None:
    """One row for a size, a call and a rival; below the aim, the row is marked."""
    print("\n| size | call | ours | rival | theirs | ratio (quartiles) | unbounded | ceiling |")
    print("|---|---|--:|---|--:|--:|--:|--:|")
    for name, row in result["sizes"].items():
        for what, unit in UNITS.items():
            rate = row[what]["rate"]
            for rival, r in row[what]["ratio"].items():
                mark = "" if r["median"] >= TARGET else " *"
                print(
                    f"| {name} | {what} | {rate['dgm']:,} {unit} | {rival} | {rate[rival]:,} "
                    f"| {r['median']:.2f} ({r['q1']:.2f} to {r['q3']:.2f}){mark} "
                    f"| {row[what]['ratio_unbounded'][rival]['median']:.2f} "
                    f"| {row[what]['ceiling'][rival]['median']:.2f} |"
                )
    print(f"\n*: below {TARGET}. unbounded: the ratio when our log-scales lose their tanh, as in")
    print("normflows. ceiling: the ratio of a coupling that costs nothing beside its conditioner.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    random.seed(0)
    result = {"hardware": hardware(args.threads), "rounds": args.rounds, "sizes": {}}
    for size in SIZES:
        differences = contestants.compare(size)
        times, parameters = race(size, args.rounds)
        row = {what: summary(t, 1 if what == "train" else size.batch) for what, t in times.items()}
        result["sizes"][size.name] = {
            **asdict(size),
            "parameters": parameters,
            "largest_log_prob_difference": {k: float(f"{v:.1g}") for k, v in differences.items()},
            **row,
        }
        print(f"{size}: {parameters:,} parameters each; log_prob with the same weights differs by")
        print("  at most", ", ".join(f"{v:.1g} nats ({k})" for k, v in differences.items()))
    show(result)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
