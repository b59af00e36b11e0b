"""Named systems of the book: each is a family, networks and sizes put together, with its recipes.

| file             | what it holds                                                      |
|------------------|--------------------------------------------------------------------|
| `entry.py`       | `Entry`, `Recipe`, `Tiny`: what the book knows of a system         |
| `arguments.py`   | what builders take: a wrong size is named before anything is built |
| `flow.py` ...    | one module for each chapter: builders of a few lines, `ENTRIES`    |
| `fingerprint.py` | hashes of what made trained weights, equal under every Python      |
| `weights.py`     | trained weights on disk                                            |
| `train.py`       | `python -m dgm.zoo.train 13`: run the recipes of a chapter         |
| `dequantised.py` | what flows share: levels, the open box, noise, base, jitter        |
| `matching.py`    | how recipes train continuous flows                                 |
| `labelled.py`    | how recipes train with labels, all or few                          |
| `large_pixel.py` | the recipe of the PixelCNN on 28 by 28 digits                      |
| `large_vae.py`   | networks and recipes of chapter 06 for 28 by 28 pictures           |
| `large.py`       | what chapters say of models of 28 by 28 digits                     |
| `codecs.py`      | the codec of a model: which one, with how many bits to begin with  |
| `packing.py`     | pictures to one file and back: `python -m dgm.compression`         |
| `attacked.py`    | classifiers of chapter 25 behind one door, and attacks on them     |
| `side_by_side.py` | every family in one row: its systems, how they draw, what is stored |
| `studies/`       | recipes with parts exchanged, of which only the scores are kept    |

Only the module that holds a name is imported when it is asked for.
"""

import ast
import difflib
import importlib
import json
from functools import lru_cache
from pathlib import Path

from torch import nn

from dgm.zoo.entry import Entry, Recipe, Tiny

__all__ = ["Entry", "Recipe", "Tiny", "entries", "get", "header", "load", "modules"]


@lru_cache(maxsize=1)
def modules() -> dict[str, str]:
    """The zoo module of every system by name, in the order of the chapters; none is imported.

    The names are the builders, the first argument of every ``Entry(...)`` in the source.
    """
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if {"CHAPTER", "ENTRIES"} <= assigned.keys():
            names = [
                call.args[0].id
                for call in ast.walk(assigned["ENTRIES"])
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Entry"
            ]
            found[ast.literal_eval(assigned["CHAPTER"]), path.stem] = names
    return {name: stem for (_, stem), names in sorted(found.items()) for name in names}


def get(name: str) -> Entry:
    """The entry called ``name``; an unknown name is a ValueError with the nearest ones."""
    found = modules()
    if name not in found:
        near = difflib.get_close_matches(str(name), found, n=3, cutoff=0.3)
        raise ValueError(f"no system is called {name!r}; nearest: {', '.join(near or found)}")
    module = importlib.import_module(f"dgm.zoo.{found[name]}")
    return next(entry for entry in module.ENTRIES if entry.name == name)


def entries() -> dict[str, Entry]:
    """All systems by name, in the order of their chapters; this imports all of them."""
    return {name: get(name) for name in modules()}


def load(name: str, data_name: str) -> nn.Module:
    """The trained model ``name`` of the data set ``data_name``, on the CPU, in eval mode.

    Raises
    ------
    ValueError
        If the name is unknown, there is no recipe for that data set, or the weights are missing,
        corrupted or stale: those of another recipe than today's.
    """
    from dgm import data
    from dgm.zoo import fingerprint, weights

    entry = get(name)
    if data_name not in entry.recipes:
        raise ValueError(
            f"{name!r} has no recipe for {data_name!r}; only for: {', '.join(entry.recipes)}"
        )
    model = entry.build(data.kind(entry.data_of(data_name)), **entry.recipes[data_name].sizes)
    recipe = fingerprint.recipe_hash(entry, data_name)
    weights.load_weights(model, weights.weights_path(name, data_name), recipe)
    return model.eval()


def header(name: str, data_name: str) -> dict:
    """What was written down with the weights of ``name`` when they were trained.

    ``train_seconds`` (CPU seconds, see train.py) and ``best_val`` (nats) are floats; ``seeds`` maps
    every seed the recipe was run under to its test nats, their standard error and, for a bound, the
    nats with 64 draws. The other values are text. Raises the ValueErrors of `get` and
    `weights.read_weights`.
    """
    from dgm.zoo import weights

    found = weights.read_weights(weights.weights_path(get(name).name, data_name))[1]
    floats = {key: float(found[key]) for key in ("train_seconds", "best_val")}
    seeds = {int(seed): nats for seed, nats in json.loads(found.get("seeds", "{}")).items()}
    return found | floats | {"seeds": dict(sorted(seeds.items()))}
