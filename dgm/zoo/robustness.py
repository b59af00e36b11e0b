"""Models of p(x | y) of chapter 25 as classifiers: a flow that knows the class, a VAE for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from dgm import evaluate
from dgm.distribution.support import Levels, Reals
from dgm.nets.class_mlps import ClassMLPs
from dgm.nets.mlp import MLP
from dgm.robustness.analysis_by_synthesis import AnalysisBySynthesis
from dgm.robustness.class_conditional_flow import ClassFlow, ClassFlowBound, ClassNormals
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.flow import glow
from dgm.zoo.studies.judges import distance_to

CHAPTER = "25_robust_classification"
BRANCH = ("explicit", "exact", "flow")
LATENT = ("explicit", "bound", "latent")


def class_flow(
    data: Levels | Reals, n_classes: int = 10, steps: Sequence[int] = (3, 4), width: int = 24,
    dropout: float = 0.0, noise_width: int = 0, marginals: bool = True, split: bool = False,
    class_weight: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Class-conditional flow: Glow over a Gaussian for each class, or for half of the code.

    With ``split`` only the second half of the code knows the class, the one that went through all
    levels. Sizes as in `glow` (zoo/flow.py).
    """
    labels = Levels((), data.count(n_classes, "n_classes", least=2))
    body = glow(data, steps, width, dropout, noise_width, marginals)
    base = ClassNormals(data.dims, n_classes, data.dims // 2 if split else None)
    if isinstance(data, Reals):
        return ClassFlow(body, base, labels, class_weight)
    return ClassFlowBound(ClassFlow(body.flow, base, labels, class_weight), data, body.noise)


def analysis_by_synthesis(
    data: Levels | Reals, n_classes: int = 10, latent_dim: int = 8, hidden: int = 64,
    encoder_width: int = 64, noise: float = 0.3, beta: float = 0.1, samples: int = 500,
    steps: int = 25,
) -> AnalysisBySynthesis:  # fmt: skip
    """Analysis by synthesis: one VAE for each class, and the best code of each decides."""
    labels = Levels((), data.count(n_classes, "n_classes", least=2))
    encoder = MLP(data.dims + n_classes, 2 * latent_dim, (encoder_width,))
    decoders = ClassMLPs(n_classes, latent_dim, data.dims, hidden)
    search = dict(samples=samples, steps=steps)
    return AnalysisBySynthesis(
        data, labels, encoder, decoders, latent_dim, noise, beta, **search
    )  # fmt: skip


def fit_classes(
    model: nn.Module, dataset: Any, seed: int, *, steps: int, shift: float,
    held_out: int | None = None, scored: int | None = None, **settings: Any,
) -> Fit:  # fmt: skip
    """`fit` on pictures and classes, moved by ``shift`` pixels; the last weights are kept.

    Noted with them: validation nats of p(x), or the Frechet distance of draws where there are none.
    """
    if hasattr(model, "start_from"):
        model.start_from(dataset.train)
    # train on moved pictures, at last on those that there are
    augment = Jitter(dataset.levels, round(0.8 * steps), shift, shift / 5) if shift else None
    pairs = (dataset.train, dataset.train_y)
    fitted = fit(model, pairs, seed=seed, steps=steps, augment=augment, **settings)
    if hasattr(model, "elbo"):
        score = evaluate.nats(model, dataset.val[:held_out], repeats=4).mean
    else:
        score = distance_to(dataset.val, dataset.name)(model)
    return replace(fitted, best_val=score)


_FETAYA = ("Fetaya, Jacobsen, Grathwohl and Zemel (2020)", "https://arxiv.org/abs/1906.01171")
_SCHOTT = ("Schott, Rauber, Bethge and Brendel (2019)", "https://arxiv.org/abs/1805.09190")
_FIT = dict(batch_size=64, lr=3e-3, warmup=50, clip_norm=100.0, average=0.99, progress=False)
DIGITS_FLOW = Recipe(
    dict(steps=(4, 4), width=28, dropout=0.2, class_weight=100.0),
    _FIT | dict(steps=2400, shift=0.5, weight_decay=0.1, average=0.995), fit_classes,
)  # fmt: skip
MNIST_FLOW = Recipe(
    dict(steps=(3, 4), width=24, noise_width=32, class_weight=600.0),
    _FIT | dict(steps=4800, shift=0.5, weight_decay=0.01, held_out=1000, scored=2000), fit_classes,
)  # fmt: skip
_DIGITS_ABS = Recipe(
    dict(latent_dim=6, hidden=32), _FIT | dict(steps=1000, shift=0.3, weight_decay=0.02),
    fit_classes,
)  # fmt: skip
_MNIST_ABS = Recipe(
    dict(latent_dim=8, hidden=64),
    _FIT | dict(steps=4000, batch_size=128, shift=0.5, weight_decay=0.01), fit_classes,
)  # fmt: skip


def _split(recipe: Recipe, of: str) -> Recipe:
    """The same recipe, but only half of the code knows the class."""
    return replace(recipe, sizes=recipe.sizes | {"split": True}, of=of)


ENTRIES = (
    Entry(
        class_flow, "O2 O3", _FETAYA,
        Tiny(Levels((1, 2, 2), 4), dict(n_classes=3, steps=(2,), width=5, noise_width=4), std=0.1),
        dict(
            digits=DIGITS_FLOW, digits_split=_split(DIGITS_FLOW, "digits"),
            mnist=MNIST_FLOW, mnist_split=_split(MNIST_FLOW, "mnist"),
        ),
    ),
    Entry(
        analysis_by_synthesis, "V11", _SCHOTT,
        Tiny(
            Levels((1, 2, 2), 5),
            dict(n_classes=3, latent_dim=2, hidden=6, encoder_width=5, samples=7, steps=3), std=0.1,
        ),
        dict(digits=_DIGITS_ABS, mnist=_MNIST_ABS),
        branch=LATENT,
    ),
)  # fmt: skip
