"""Named systems of the book: each is a family, networks and sizes put together, with its recipe.

| file          | what it holds                                                    |
|---------------|------------------------------------------------------------------|
| `entry.py`    | `Entry` and `Recipe`: what the book knows of a system            |
| `flow.py` ... | one file per family: builders, recipes, `ENTRIES`; a large one   |
|               | takes a file for each chapter (vae, posterior, prior;            |
|               | autoregressive, pixel, sequence)                                 |
| `fingerprint.py` | the text of code that is hashed, equal under every Python     |
| `weights.py`  | trained weights on disk                                          |
| `train.py`    | `python -m dgm.zoo.train 13`: run the recipes of a chapter       |
| `map.py`      | the map of generative models, drawn from the entries             |
"""

import difflib
import importlib
import json
import pkgutil
from pathlib import Path

from torch import nn

from dgm.zoo import weights
from dgm.zoo.entry import Entry, Recipe

__all__ = ["Entry", "Recipe", "entries", "get", "header", "load"]

_NOT_FAMILIES = {"entry", "fingerprint", "weights", "train", "map"}


def entries() -> dict[str, Entry]:
    """All systems by name, in the order of their chapters."""
    names = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])]
    families = [importlib.import_module(f"dgm.zoo.{n}") for n in names if n not in _NOT_FAMILIES]
    found = [entry for family in families for entry in family.ENTRIES]
    return {entry.name: entry for entry in sorted(found, key=lambda e: e.chapter)}


def get(name: str) -> Entry:
    """The entry called ``name``; an unknown name is a ValueError with the nearest ones."""
    found = entries()
    if name not in found:
        near = difflib.get_close_matches(str(name), found, n=3, cutoff=0.3)
        raise ValueError(f"no system is called {name!r}; nearest: {', '.join(near or found)}")
    return found[name]


def load(name: str, data_name: str) -> nn.Module:
    """The trained model ``name`` of the data set ``data_name``, on the CPU, in eval mode.

    Raises
    ------
    ValueError
        If the name is unknown, there is no recipe for that data set, or the weights are missing,
        corrupted or older than their recipe.
    """
    from dgm import data

    entry = get(name)
    if data_name not in entry.recipes:
        raise ValueError(
            f"{name!r} has no recipe for {data_name!r}; only for: {', '.join(entry.recipes)}"
        )
    dataset = data.load(data_name)
    model = entry.build(dataset.shape, dataset.levels, **entry.recipes[data_name].sizes)
    weights.load_weights(model, weights.weights_path(name, data_name), entry.fingerprint(data_name))
    return model.eval()


def header(name: str, data_name: str) -> dict:
    """What was written down with the weights of ``name`` when they were trained.

    ``train_seconds`` and ``best_val`` (nats) are floats; ``seeds`` maps every seed the recipe was
    run under to its test nats, their standard error and, for a bound, the nats with 64 draws.
    The other values are text. Raises the ValueErrors of `get` and `weights.read_weights`.
    """
    found = weights.read_weights(weights.weights_path(get(name).name, data_name))[1]
    floats = {key: float(found[key]) for key in ("train_seconds", "best_val")}
    seeds = {int(seed): nats for seed, nats in json.loads(found.get("seeds", "{}")).items()}
    return found | floats | {"seeds": dict(sorted(seeds.items()))}
