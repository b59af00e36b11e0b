"""Run recipes: ``python -m dgm.zoo.train 13`` trains every system of chapter 13 that has one."""

import argparse
import time

import torch

from dgm import data, results, runtime, zoo
from dgm.zoo import weights


def train(entry: zoo.Entry, data_name: str, seed: int = 0, save: bool = True) -> torch.nn.Module:
    """Run one recipe from scratch and store its weights; returns the model as trained."""
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
    if save:
        weights.save_weights(model, weights.weights_path(entry.name, data_name), **header)
    size = sum(p.numel() for p in model.parameters())
    print(f"{entry.name} on {data_name}: {header} {size} parameters", flush=True)
    return model


def main() -> None:
    """Train the systems of a chapter (13) or one system (glow)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", help="a chapter number such as 13, or the name of a system")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="train, but leave the weights alone")
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
        train(entry, name, args.seed, save=not args.dry)


if __name__ == "__main__":
    main()
