"""Run recipes: ``python -m dgm.zoo.train 13`` trains what chapter 13 has a recipe for.

``--scale gpu --minutes 25`` runs the recipes for a GPU, those of most worth first, until the time
is up; the same command goes on from there. Under torchrun several devices share each of them.
``--rescored`` trains nothing: where only the code around a recipe changed, and the weights still
score what their recipe saw, it notes the new code with them.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

from dgm import data, evaluate, results, runtime, zoo
from dgm.data.download import cache_folder
from dgm.evaluate import Estimate
from dgm.train.processes import join
from dgm.zoo import fingerprint, weights
from dgm.zoo.studies import judges

Job = tuple[zoo.Entry, str]  # a system and the name of a data set


def train(
    entry: zoo.Entry, data_name: str, seed: int = 0, checkpoint: Path | None = None
) -> tuple[torch.nn.Module, dict]:
    """Run one recipe from scratch, or from ``checkpoint`` where there is one.

    Returns
    -------
    model, header
        The header is what is stored with the weights. Its ``train_seconds`` are CPU seconds of
        this process, all its threads together (so a crowded machine does not lengthen them), or
        seconds on the clock where a GPU computes.
    """
    # the seed is set before the model is built: it decides where the weights start
    runtime.seed(seed)
    recipe = entry.recipes[data_name]
    dataset = data.load(entry.data_of(data_name), **recipe.data)
    model = entry.build(dataset.kind, **recipe.sizes)
    # CPU time where a CPU computes, the clock where a GPU does
    on_gpu = recipe.scale == "gpu" and runtime.device().type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    model.to(runtime.device() if on_gpu else "cpu")
    start = clock()
    resume = {} if checkpoint is None else {"checkpoint": checkpoint}
    fit = recipe.train(model, dataset, seed, **recipe.fit, **resume)
    # what is stored with the weights
    header = {
        "system": entry.name,
        "data": data_name,
        "recipe": fingerprint.recipe_hash(entry, data_name),
        "code": fingerprint.code_hash(entry, data_name),
        "seed": seed,
        "train_seconds": round(clock() - start, 1),
        "best_val": f"{fit.best_val:.4f}",
        "hardware": results.hardware(),
        "torch": torch.__version__,
    }
    size = sum(p.numel() for p in model.parameters())
    print(f"{entry.name} on {data_name}: {header} {size} parameters", flush=True)
    return model, header


def _has_likelihood(model: torch.nn.Module) -> bool:
    """Whether it gives log p(x) or a bound."""
    return hasattr(model, "log_prob") or hasattr(model, "elbo")


def _draws(model: torch.nn.Module) -> int:
    """How often to score each example: once where log p(x) is exact."""
    return 1 if hasattr(model, "log_prob") else 4


def scores(model: torch.nn.Module, data_name: str, scored: int | None = None) -> list[float]:
    """Mean test nats and their standard error; of a bound also the mean with 64 draws.

    Of thousands of large pictures a bound is taken once, and the 64 draws on the first 500. Where a
    recipe says so (``scored``), once on that many pictures, and there are no 64 draws. Of a model
    that only draws: the Frechet distance of its draws by a judge, see `judges.by_draws`.
    """
    if not _has_likelihood(model):
        return judges.by_draws(model.eval(), data_name.removesuffix("_test"))
    test = data.load(data_name).test[:scored]
    many = test.numel() > 1_000_000 or scored is not None
    at_once = {"batch_size": 32} if many else {}  # of large pictures a few fit into the cache
    score = evaluate.nats(model.eval(), test, repeats=1 if many else _draws(model), **at_once)
    found = [score.mean, score.standard_error]
    if hasattr(model, "iw_bound") and scored is None:
        found.append(evaluate.nats(model, test[: 500 if many else None], k=64, **at_once).mean)
    return [round(value, 3) for value in found]


def train_all(entry: zoo.Entry, data_name: str) -> None:
    """Run one recipe under all its seeds; stores the weights of seed 0, the scores of all.

    Where seed 0 comes to the very weights that are stored, the scores stored with them stay.
    """
    recipe, seeds, used = entry.recipes[data_name], {}, []
    stored = weights.weights_path(entry.name, data_name)
    for seed in range(recipe.seeds):
        used.append(checkpoint_path(entry, data_name, seed) if recipe.scale == "gpu" else None)
        trained, said = train(entry, data_name, seed, used[-1])
        if seed == 0:
            model, header = trained, said
            seeds = _unchanged_scores(model, stored)
            if len(seeds) == recipe.seeds:
                break
        trained.load_state_dict(weights.unpacked(weights.rounded(trained)))  # as it is stored
        seeds[seed] = scores(trained, entry.data_of(data_name), *_scored(recipe))
    header["seeds"] = json.dumps(seeds)
    if join()[0] == 0:
        size = sum(t.numel() * t.element_size() for t in weights.rounded(model).values())
        small = size <= weights.MOST_BYTES - 50_000  # what the header may take
        folder = weights.FOLDER if small else cache_folder() / "weights"
        weights.save_weights(model, folder / f"{entry.name}-{data_name}.safetensors", **header)
        for checkpoint in filter(None, used):
            checkpoint.unlink(missing_ok=True)


def _scored(recipe: zoo.Recipe) -> tuple[int, ...]:
    """How many test examples a recipe wants to be scored on; nothing where all."""
    return (recipe.fit["scored"],) if "scored" in recipe.fit else ()


def _unchanged_scores(model: torch.nn.Module, file: Path) -> dict[str, list[float]]:
    """The scores stored with weights that are bit for bit those of ``model``, else none."""
    if not file.is_file():
        return {}
    tensors, header = weights.read_weights(file)
    found = weights.rounded(model)
    same = tensors.keys() == found.keys() and all(tensors[k].equal(found[k]) for k in found)
    return json.loads(header.get("seeds", "{}")) if same else {}


def checkpoint_path(entry: zoo.Entry, data_name: str, seed: int) -> Path:
    """Where a run that may be cut short keeps what it needs to go on; other code starts anew."""
    made_by = fingerprint.recipe_hash(entry, data_name)[:6]
    made_by += fingerprint.code_hash(entry, data_name)[:6]
    folder = cache_folder() / "train"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{entry.name}-{data_name}-{seed}-{made_by}.safetensors"


def agreement(name: str, data_name: str) -> tuple[Estimate, float, float]:
    """Validation nats of the stored weights, those their recipe saw, and how far they may differ.

    They differ by the noise of a bound (four of its errors), by the rounding of the weights, which
    costs a model of large pictures up to a thousandth of its nats, and on a toy by the noise of
    another draw. Of a model that only draws it is the Frechet distance of its draws.
    """
    entry, model = zoo.get(name), zoo.load(name, data_name)
    dataset, best = data.load(entry.data_of(data_name)), zoo.header(name, data_name)["best_val"]
    if not _has_likelihood(model):
        again = judges.distance_to(dataset.val, dataset.name)(model)
        return Estimate(again, 0.0, judges.AT_ONCE), best, 0.1 * best
    val = dataset.val[: entry.recipes[data_name].fit.get("held_out")]
    again = evaluate.nats(model, val, repeats=_draws(model))
    if not dataset.levels:
        return again, best, 4 * again.standard_error
    with evaluate.measuring(model, 0):
        score = getattr(model, "log_prob", None) or model.elbo
        apart = score(val[:200]) - score(val[:200])
    noise = apart.std().item() / (2 * len(val)) ** 0.5  # of one draw each
    return again, best, max(0.3, again.mean / 500, 4 * noise)


def note_code(entry: zoo.Entry, data_name: str) -> str:
    """Where the code differs and the scores still hold, note the new code; says what was done.

    Raises
    ------
    ValueError
        There are no weights of this recipe, or they score something else now: retrain.
    """
    file = weights.weights_path(entry.name, data_name)
    tensors, header = weights.read_weights(file)
    code = fingerprint.code_hash(entry, data_name)
    if header["code"] == code:
        return f"{entry.name} on {data_name}: made by this code"
    again, best, allowed = agreement(entry.name, data_name)
    if not abs(again.mean - best) <= allowed:
        raise ValueError(f"{file} scores {again}, its recipe saw {best}: retrain with `make train`")
    weights.write_weights(tensors, file, **header | {"code": code})
    return f"{entry.name} on {data_name}: {again}, as its recipe saw; the new code is noted"


def jobs(which: str, scale: str) -> list[Job]:
    """The recipes of a chapter (13), of one system (glow) or of "all", most worth first.

    Raises
    ------
    ValueError
        There is none of that scale.
    """
    names = list(zoo.modules()) if which == "all" or which.isdigit() else [which]
    chosen = [zoo.get(name) for name in names]
    if which.isdigit():
        chosen = [entry for entry in chosen if int(entry.chapter[:2]) == int(which)]
    found = [(e, name) for e in chosen for name, r in e.recipes.items() if r.scale == scale]
    if not found:
        raise ValueError(f"no recipe of scale {scale} for {which!r}")
    return sorted(found, key=lambda job: -job[0].recipes[job[1]].worth)


def stop_after(minutes: float) -> None:
    """End this process, wherever it is, when the time is up; checkpoints survive that."""

    def stop() -> None:
        print(f"{minutes:g} minutes are up; the same command goes on from here", flush=True)
        os._exit(0)

    timer = threading.Timer(60 * minutes, stop)
    timer.daemon = True
    timer.start()


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and run what it asks for."""
    # what is asked for
    parser = argparse.ArgumentParser(prog="dgm.zoo.train", description=__doc__)
    parser.add_argument("which", help="a chapter number such as 13, the name of a system, or all")
    parser.add_argument("--scale", choices=runtime.SCALES, default="laptop")
    parser.add_argument("--minutes", type=float, help="stop when they are up, to go on later")
    parser.add_argument("--seed", type=int, help="this seed only; the weights are left alone")
    parser.add_argument("--rescored", action="store_true", help="note code that scores the same")
    asked = parser.parse_args(arguments)
    try:
        chosen = jobs(asked.which, asked.scale)
    except ValueError as error:
        sys.exit(str(error))
    if asked.minutes is not None:
        stop_after(asked.minutes)
    # one recipe after the other
    for entry, name in chosen:
        if asked.rescored:
            print(note_code(entry, name), flush=True)
        elif asked.seed is not None:
            train(entry, name, asked.seed)
        else:
            train_all(entry, name)


if __name__ == "__main__":
    main()
