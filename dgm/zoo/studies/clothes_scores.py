"""What twenty scores say of single pictures, clothes and others: 200 of each kind, kept in full.

``python -m dgm.zoo.studies.clothes_scores`` measures and trains what is not on file, about twenty
minutes of one core; it needs DGM_DATA for the pictures to train on. All scores are *higher for
pictures of the kind*, nats unless said. Seed 0 of a likelihood is the stored model; of the energy
the weights are kept in ``clothes_scores.safetensors.xz``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime, zoo
from dgm.data.outlier_sets import OUTSIDE, clothes_parts, outlier_sets, tuning_sprites
from dgm.evaluate import measuring
from dgm.measure.auroc import Area, auroc
from dgm.measure.judge import Judge
from dgm.outlier.class_scores import free_energy_score, max_softmax
from dgm.outlier.regret import likelihood_regret
from dgm.outlier.upper_layers import upper_bound
from dgm.train import fit
from dgm.zoo import outlier
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.weights import SUFFIX, read_weights, rounded, save_weights, unpacked

FILE = Path(__file__).with_suffix(".json")
N, DATA = 200, outlier.DATA
LIKELIHOODS = ("pixels", "flow", "vae", "hierarchy", "diffusion")
REPEATS = {
    "flow": 2,
    "vae": 8,
    "hierarchy": 4,
    "diffusion": 2,
}  # draws of a bound that are averaged
ENSEMBLES, RATES = ("vae",), (0.1, 0.2, 0.3)
ENERGY_FIT = dict(steps=1000, batch_size=64, lr=1e-3, warmup=50, average=0.99, clip_norm=10.0)
JUDGE_FIT = dict(steps=500, batch_size=64, lr=2e-3, weight_decay=0.1, warmup=30, progress=False)


@lru_cache(maxsize=1)
def clothes_and_others() -> dict[str, Tensor]:
    """All sets by name, (200, 1, 28, 28) each: clothes, others, and sprites to choose by."""
    return clothes_parts(N) | outlier_sets(N) | {"sprites": tuning_sprites(N)}


def load() -> dict[tuple[str, int], dict[str, Tensor]]:
    """(score, seed): set: (200,) float64."""
    runs = read_runs(FILE)
    return {
        (run["score"], run["seed"]): {
            name: torch.tensor(v, dtype=torch.float64) for name, v in run["of"].items()
        }
        for run in runs
    }


def areas(scores: dict[str, Tensor], outside: tuple[str, ...] = OUTSIDE) -> dict[str, Area]:
    """For each set of outsiders, how often a test picture of clothes scores higher.

    1 where outsiders always score lower, 1/2 chance, 0 where they always score higher.
    """
    return {name: auroc(scores["test"], scores[name]) for name in outside if name in scores}


# --- models ---------------------------------------------------------------------------------------


def stored(name: str) -> nn.Module:
    """The model of this name that comes with the book, in eval mode."""
    return zoo.load(f"fashion_{name}", DATA)


def trained_again(name: str, seed: int) -> nn.Module:
    """The same recipe from another seed, as it would be stored."""
    entry = zoo.get(f"fashion_{name}")
    recipe, clothes = entry.recipes[DATA], data.load(DATA)
    runtime.seed(seed)
    model = entry.build(clothes.kind, **recipe.sizes)
    recipe.train(model, clothes, seed, **recipe.fit)
    model.load_state_dict(unpacked(rounded(model)))
    return model.eval()


def energy_model() -> nn.Module:
    """The energy of clothes, as it is kept with this study; E, not log p."""
    model = outlier.fashion_energy(data.kind(DATA))
    model.load_state_dict(unpacked(read_weights(FILE.with_suffix(SUFFIX))[0]))
    return model.eval()


@lru_cache(maxsize=3)
def judge_of(seed: int) -> Judge:
    """A small classifier of the 1,600 pictures and their labels."""
    runtime.seed(seed)
    convolutions = [nn.Conv2d(1, 16, 4, 2, 1), nn.SiLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.SiLU()]
    net = nn.Sequential(*convolutions, nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 49, 64))
    judge = Judge(data.kind(DATA), net, 64)
    fit(judge, (outlier.fashion_training(), outlier.fashion_labels()), seed=seed, **JUDGE_FIT)
    return judge.eval()


# --- scores ---------------------------------------------------------------------------------------


def log_probs(model: nn.Module, x: Tensor, repeats: int = 1, seed: int = 0) -> Tensor:
    """log p of every picture (N,), or the mean of ``repeats`` one-draw bounds; -E of an energy.

    The noise is that of ``seed``, the same for every set.
    """
    score = getattr(model, "log_prob", None) or getattr(model, "elbo", None)
    score = score or (lambda part: -model.energy(part))
    with measuring(model, seed):
        parts = [sum(score(part) for _ in range(repeats)) / repeats for part in x.split(40)]
    return torch.cat(parts).double()


def over_sets(score: object, names: tuple[str, ...] = ()) -> dict[str, list[float]]:
    """``score(x)`` of the named sets, of all where none is named, to a hundredth."""
    chosen = {name: x for name, x in clothes_and_others().items() if not names or name in names}
    return {name: [round(v, 2) for v in score(x).tolist()] for name, x in chosen.items()}


def one_likelihood(name: str, seed: int) -> dict:
    """A model of the book, or its recipe from another seed."""
    model = stored(name) if seed == 0 else trained_again(name, seed)
    names = ("test", *OUTSIDE) if seed else ()
    return over_sets(lambda x: log_probs(model, x, REPEATS.get(name, 1)), names)


def one_energy() -> dict:
    """Train the energy, keep its weights, and score by -E."""
    runtime.seed(0)
    model = outlier.fashion_energy(data.kind(DATA))
    outlier.fit_clothes(model, data.load(DATA), 0, eval_every=500, **ENERGY_FIT)
    save_weights(model, FILE.with_suffix(SUFFIX), system="fashion_energy", data=DATA)
    kept = energy_model()
    return over_sets(lambda x: log_probs(kept, x))


def one_layer_bound(k: int) -> dict:
    """L^{>k} of the hierarchy."""
    model = stored("hierarchy")

    def score(x: Tensor) -> Tensor:
        with measuring(model, 0):
            return torch.cat([upper_bound(model, part, k, 4) for part in x.split(40)])

    return over_sets(score)


def one_regret() -> dict:
    """Minus the likelihood regret of the VAE."""
    model, made = stored("vae"), torch.Generator()

    def score(x: Tensor) -> Tensor:
        made.manual_seed(0)
        parts = [likelihood_regret(model, p, 10, 0.1, 2, made) for p in x.split(40)]
        return -torch.cat(parts)

    return over_sets(score, ("test", *OUTSIDE))


def one_background(rate: float) -> dict:
    """Log p of a background model of this rate, on what a setting may be chosen by."""
    entry, clothes = zoo.get("fashion_background"), data.load(DATA)
    recipe = entry.recipes[DATA]
    model = entry.build(clothes.kind, **recipe.sizes)
    recipe.train(model, clothes, 0, **recipe.fit | dict(rate=rate))
    return over_sets(lambda x: log_probs(model.eval(), x), ("validation", "sprites"))


def one_judge(score: str, seed: int) -> dict:
    """The largest probability, or the free energy, of a classifier's answer."""
    judge, of = judge_of(seed), max_softmax if score == "softmax" else free_energy_score
    with torch.no_grad():
        found = {name: of(judge(x)).tolist() for name, x in clothes_and_others().items()}
    return {name: [round(v, 5) for v in values] for name, values in found.items()}


def measure(score: str, seed: int) -> dict:
    """The values of one score, by set."""
    if score in LIKELIHOODS:
        return {"of": one_likelihood(score, seed)}
    if score in ("softmax", "free energy"):
        return {"of": one_judge(score, seed)}
    kind, _, number = score.partition(" ")
    makers = {
        "energy": one_energy,
        "background": lambda: one_background(float(number)),
        "stored_background": lambda: one_likelihood("background", 0),
        "above": lambda: one_layer_bound(int(number)),
        "regret": one_regret,
    }
    return {"of": makers[kind]()}


def main() -> None:
    """Measure what is not on file yet, the cheap first."""
    cells = [dict(score=name, seed=s) for name in ("softmax", "free energy") for s in range(3)]
    cells += [dict(score="energy", seed=0)]
    cells += [dict(score=name, seed=0) for name in LIKELIHOODS]
    cells += [dict(score=f"background {rate:g}", seed=0) for rate in RATES]
    cells += [dict(score="stored_background", seed=0)]
    cells += [dict(score=f"above {k}", seed=0) for k in (1, 2)]
    cells += [dict(score="regret", seed=0)]
    cells += [dict(score=name, seed=s) for s in (1, 2) for name in ENSEMBLES]
    train_missing(FILE, cells, measure, energy=ENERGY_FIT, judge=JUDGE_FIT)


if __name__ == "__main__":
    main()
