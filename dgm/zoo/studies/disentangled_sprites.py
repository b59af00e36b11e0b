"""Six prices of a code, three to five strengths each, three seeds: sixty VAEs of sprites.

The study of Locatello et al. (2019), arXiv:1811.12359, at the size of a laptop.
``python -m dgm.zoo.studies.disentangled_sprites`` trains what is not on file yet, half a minute of
one core each, and keeps scores only: bounds, total correlations, seven metrics, and what trees and
logistic regressions make of the codes with few labels and with many.
"""

import functools
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from dgm import evaluate, runtime
from dgm.data.sprites import SpriteGrid
from dgm.disentanglement.dci import dci
from dgm.disentanglement.information_scores import modularity, mutual_information_gap
from dgm.disentanglement.interventional import interventional_robustness
from dgm.disentanglement.separated_attribute import separated_attribute_predictability
from dgm.disentanglement.shared_factor_scores import beta_vae_score, factor_vae_score
from dgm.disentanglement.total_correlation import gaussian_total_correlation
from dgm.distribution.support import Levels
from dgm.zoo import disentanglement
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
COUNTS = (3, 4, 9, 8, 8)  # shape, scale, turn, x, y: 6,912 pictures, all of them trained on
SIZE = 32
STEPS, RISE = 5000, 4000
FIT = dict(steps=STEPS, batch_size=64, lr=2e-3, warmup=100, eval_every=500)
WEIGHT = 0.25  # pictures have a quarter of the pixels of dSprites: strengths as in the study
CELLS = {  # name -> builder, its argument, other settings, strengths
    "beta-VAE": ("beta_vae", "beta", {}, (1.0, 2.0, 4.0, 8.0, 16.0)),
    "annealed VAE": ("annealed_vae", "capacity", dict(gamma=40.0, rise=RISE), (6.0, 12.0, 20.0)),
    "FactorVAE": ("factor_vae", "gamma", {}, (10.0, 30.0, 100.0)),
    "beta-TCVAE": ("tc_vae", "beta", dict(n_examples=6912), (2.0, 4.0, 10.0)),
    "DIP-VAE I": ("dip_vae", "off_diagonal", {}, (2.0, 10.0, 50.0)),
    "DIP-VAE II": ("dip_vae", "off_diagonal", dict(sampled=True), (2.0, 10.0, 50.0)),
}
FEW, MANY, HELD_OUT = 100, 4000, 1500  # labels, and codes that downstream accuracy is taken on
VOTES = dict(n_train=10_000, n_test=5000)  # of the metrics that vote, as in the study
TREES = functools.partial(
    HistGradientBoostingClassifier, max_iter=30, learning_rate=0.2, max_leaf_nodes=8,
    early_stopping=False, random_state=0,
)  # fmt: skip


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


@functools.cache
def all_sprites() -> SimpleNamespace:
    """All sprites in the order of the grid, their factors, and a random order of them."""
    grid = SpriteGrid(COUNTS, SIZE, closed=False)
    numbers = torch.arange(len(grid))
    order = torch.randperm(len(grid), generator=torch.Generator().manual_seed(0))
    kind = Levels((1, SIZE, SIZE), 2)
    return SimpleNamespace(
        grid=grid, train=grid[numbers], factors=grid.factors(numbers), order=order, kind=kind
    )


def built(objective: str, strength: float, kind: Levels | None = None) -> nn.Module:
    """An untrained model of one cell, of the sprites or of variants of this ``kind``."""
    builder, name, more, _ = CELLS[objective]
    sizes = more | {name: strength, "weight": WEIGHT}
    if builder == "dip_vae":  # ten times as much for the variances of I, as in the study
        sizes["diagonal"] = strength * (1.0 if sizes.get("sampled") else 10.0)
    return getattr(disentanglement, builder)(kind or all_sprites().kind, **sizes)


@torch.no_grad()
def encoded(model: nn.Module, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Means, one sample, and log variances of the codes of all sprites, (6912, d) each."""
    q = model.posterior(all_sprites().train)
    made = torch.Generator().manual_seed(seed)
    return q.mean, q.rsample(generator=made), q.log_var


def rates(model: nn.Module, n: int = 500) -> dict[str, float]:
    """Reconstruction and KL of all sprites; the three parts of the KL at ``n`` of them, nats.

    KL = I(x; z) + TC + sum_j KL(q(z_j) || p(z_j)), q(z) the mean of q(z|x) over all sprites.
    """
    # the bound
    at = all_sprites()
    with evaluate.measuring(model, 0):
        parts = [model.terms(x) for x in at.train.split(1000)]
    found = {k: torch.cat([p[k] for p in parts]).mean().item() for k in parts[0]}
    # log q(z) of some codes, under all posteriors
    mean, z, log_var = encoded(model)
    joint, single, own = [], [], []
    for i in at.order[:n].split(50):
        first = torch.cat((i, torch.arange(len(mean))))
        q = [t[first] for t in (mean, log_var)]
        eps = (z[i][:, None] - q[0][len(i) :]) * (-0.5 * q[1][len(i) :]).exp()
        log_q = -0.5 * (eps.square() + q[1][len(i) :] + 1.8378770664)
        joint.append(log_q.sum(2).logsumexp(1))
        single.append(log_q.logsumexp(1))
        own.append(log_q.sum(2)[torch.arange(len(i)), i])
    n_all = torch.tensor(float(len(mean))).log()
    joint, single = torch.cat(joint) - n_all, torch.cat(single) - n_all
    normal = -0.5 * (z[at.order[:n]].square() + 1.8378770664)
    found |= {"information": (torch.cat(own) - joint).mean().item()}
    found |= {"tc": (joint - single.sum(1)).mean().item()}
    return found | {"marginal": (single - normal).sum(1).mean().item()}


def metrics(mean: Tensor) -> dict[str, float]:
    """The seven metrics of means (6912, d), and DCI's other two scores."""
    at = all_sprites()
    few, rest = at.order[:2000], at.order[2000:4000]
    train = (mean[few], at.factors[few], mean[rest], at.factors[rest])

    def encode(factors: Tensor) -> Tensor:
        return mean[at.grid.index(factors)]

    trees = dci(*train)
    return {
        "BetaVAE": beta_vae_score(encode, COUNTS, **VOTES),
        "FactorVAE": factor_vae_score(encode, COUNTS, **VOTES),
        "MIG": mutual_information_gap(mean, at.factors),
        "DCI": trees.disentanglement,
        "Modularity": modularity(mean, at.factors),
        "SAP": separated_attribute_predictability(*train),
        "IRS": interventional_robustness(mean, at.factors),
        "completeness": trees.completeness,
        "informativeness": trees.informativeness,
    }


def downstream(mean: Tensor) -> dict[str, float]:
    """Test accuracy, averaged over the factors, of logistic regression and of boosted trees."""
    at, found = all_sprites(), {}
    test = at.order[-HELD_OUT:]
    z = (mean - mean.mean(0)) / mean.std(0).clamp_min(1e-3)
    for name, make in (("LR", functools.partial(LogisticRegression, C=10.0)), ("GBT", TREES)):
        for n in (FEW, MANY):
            rows, scores = at.order[:n], []
            for y in at.factors.unbind(1):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model = make().fit(z[rows].numpy(), y[rows].numpy())
                scores.append(model.score(z[test].numpy(), y[test].numpy()))
            found[f"{name} {n}"] = sum(scores) / len(scores)
    return found


def train_codes(objective: str, strength: float, seed: int) -> tuple[nn.Module, float]:
    """A trained model of one cell, and the seconds that it took."""
    runtime.seed(seed)
    begun, model = time.process_time(), built(objective, strength)
    disentanglement.fit_codes(model, all_sprites(), seed, **FIT)
    return model, time.process_time() - begun


def one_sprite_run(objective: str, strength: float, seed: int) -> dict:
    """Train one cell and score it."""
    model, seconds = train_codes(objective, strength, seed)
    begun = time.process_time()
    mean, z, _ = encoded(model)
    found = rates(model) | metrics(mean) | downstream(mean)
    found |= {"tc_mean": gaussian_total_correlation(mean)}
    found |= {"tc_sample": gaussian_total_correlation(z)}
    found |= {"active": int((mean.var(0) > 0.01).sum())}
    found = {name: round(value, 4) for name, value in found.items()}
    return found | {"seconds": round(seconds, 1), "scoring": round(time.process_time() - begun, 1)}


def main() -> None:
    """Train what is missing, seed by seed."""
    cells = [
        dict(objective=objective, strength=strength, seed=seed)
        for seed in SEEDS
        for objective, (*_, strengths) in CELLS.items()
        for strength in strengths
    ]
    train_missing(FILE, cells, one_sprite_run, fit=FIT, counts=COUNTS, size=SIZE)


if __name__ == "__main__":
    main()
