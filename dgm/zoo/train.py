"""Run recipes: ``python -m dgm.zoo.train 13`` trains every system of chapter 13 that has one."""

import argparse
import json
import time

import torch

from dgm import data, evaluate, results, runtime, zoo
from dgm.zoo import weights


def train(entry: zoo.Entry, data_name: str, seed: int = 0) -> tuple[torch.nn.Module, dict]:
    """Run one recipe from scratch; returns the model and what is to be stored with its weights."""
    runtime.seed(seed)
    dataset, recipe = data.load(data_name), entry.recipes[data_name]
    model = entry.build(dataset.shape, dataset.levels, **recipe.sizes)
    start = time.perf_counter()
    fit = recipe.train(model, seed, **recipe.settings)
    header = {
        "system": entry.name,
        "data": data_name,
        "recipe": entry.fingerprint(data_name),
        "seed": seed,
        "train_seconds": round(time.perf_counter() - start, 1),
        "best_val": f"{fit.best_val:.4f}",
        "hardware": results.hardware(),
        "torch": torch.__version__,
    }
    size = sum(p.numel() for p in model.parameters())
    print(f"{entry.name} on {data_name}: {header} {size} parameters", flush=True)
    return model, header


def scores(model: torch.nn.Module, data_name: str) -> list[float]:
    """Mean test nats and their standard error; of a bound also the mean with 64 draws."""
    test = data.load(data_name).test
    score = evaluate.nats(model.eval(), test, repeats=4)
    found = [score.mean, score.standard_error]
    if hasattr(model, "iw_bound"):
        found.append(evaluate.nats(model, test, k=64).mean)
    return [round(value, 3) for value in found]


def train_all(entry: zoo.Entry, data_name: str) -> None:
    """Run one recipe under all its seeds; stores the weights of seed 0, the scores of all."""
    seeds, n_seeds = {}, entry.recipes[data_name].seeds
    for seed in reversed(range(n_seeds)):  # the last one stays
        model, header = train(entry, data_name, seed)
        if n_seeds > 1:
            seeds[seed] = scores(model, data_name)
    if seeds:
        header["seeds"] = json.dumps(seeds)
    weights.save_weights(model, weights.weights_path(entry.name, data_name), **header)


def main() -> None:
    """Train the systems of a chapter (13) or one system (glow)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", help="a chapter number such as 13, or the name of a system")
    parser.add_argument("--seed", type=int, help="this seed only; the weights are left alone")
    args = parser.parse_args()
    if args.which.isdigit():
        number = int(args.which)
        chosen = [e for e in zoo.entries().values() if int(e.chapter[:2]) == number]
    else:
        chosen = [zoo.get(args.which)]
    jobs = [(entry, name) for entry in chosen for name in entry.recipes]
    if not jobs:
        parser.error(f"no recipe for {args.which!r}")
    for entry, name in jobs:
        if args.seed is None:
            train_all(entry, name)
        else:
            train(entry, name, args.seed)


if __name__ == "__main__":
    main()
