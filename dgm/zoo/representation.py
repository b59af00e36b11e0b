"""Chapter 22: a flow whose code can be wound up, and two learners of features without a density."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from dgm import evaluate
from dgm.distribution.support import Levels, Reals
from dgm.hybrid.hybrid_flow import HybridBound
from dgm.nets.mlp import MLP
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.representation.contrastive import ContrastiveLearner
from dgm.representation.masked_prediction import MaskedPrediction
from dgm.representation.views import Views
from dgm.representation.winding import Winding
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.dequantised import over_normal
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.hybrid import flat_couplings
from dgm.zoo.weights import rounded, unpacked

CHAPTER = "22_representation"
BRANCH = ("code", "contrast")
FLOW = ("explicit", "exact", "flow")


def wound_flow(
    data: Levels | Reals, steps: int = 4, width: int = 64, dropout: float = 0.0,
    turns: float = 0.0, stages: int = 3,
) -> nn.Module:  # fmt: skip
    """Wound flow: couplings over flat pictures, and a last layer that winds up the code.

    The last layer moves no probability: equal weights give equal log p(x) for every ``turns``.
    """
    layers = flat_couplings(data, steps, width, dropout)
    return over_normal(data, [*layers, Winding(data.dims, turns, stages)], False)


def _pictures(data: Levels | Reals) -> tuple[int, ...]:
    """The shape of square pictures, or a ValueError."""
    if len(data.shape) != 3 or data.shape[1] != data.shape[2] or data.shape[1] % 2:
        raise ValueError(f"data must be square images of even sides, got shape {data.shape}")
    return data.shape


def contrastive(
    data: Levels | Reals, width: int = 64, features: int = 64, projected: int = 32,
    temperature: float = 0.5, shift: float = 0.7, turn: float = 0.2, noise: float = 0.1,
) -> ContrastiveLearner:  # fmt: skip
    """Contrastive learner: two views of a picture are told from views of the others (SimCLR)."""
    sizes = dict(widths=(width // 2, width, width), strides=(1, 2, 1), hidden=2 * features)
    encoder = SmoothConvNet(_pictures(data), features, **sizes)
    head = nn.Sequential(nn.SiLU(), MLP(features, projected, (features,)))
    views = Views(shift, turn, turn / 2, turn, noise)
    return ContrastiveLearner(data, encoder, head, views, temperature)


def masked_prediction(
    data: Levels | Reals, width: int = 64, features: int = 64, patch: int = 2, share: float = 0.5,
) -> MaskedPrediction:  # fmt: skip
    """Masked prediction: hidden patches of a picture, from a code of the others."""
    if not isinstance(data, Levels) or data.dims * data.levels > 20_000:
        raise ValueError(f"data must be integer images of at most 20,000 logits, got {data}")
    channels, *side = _pictures(data)
    sizes = dict(widths=(width // 2, width, width), strides=(1, 2, 1), hidden=2 * features)
    encoder = SmoothConvNet((2 * channels, *side), features, **sizes)
    decoder = nn.Sequential(nn.SiLU(), MLP(features, data.levels * data.dims, (2 * features,)))
    return MaskedPrediction(data, encoder, decoder, patch, share)


# --- how the flow is trained ----------------------------------------------------------------------


def train_beside_classes(
    model: nn.Module, dataset: Any, seed: int, *, weight: float, shift: float, **settings: Any
) -> Fit:
    """Fit a flow so that its code also serves a linear classifier, which is thrown away.

    ``weight`` of log p(y | z) beside log p(x). The weights kept are those of the best validation
    loss; what is noted is the nats of validation pictures.
    """
    augment = Jitter(dataset.levels, round(0.8 * settings["steps"]), shift, shift / 3)
    pairs = dict(val=(dataset.val, dataset.val_y), augment=augment, seed=seed)
    labels = Levels((), int(dataset.train_y.max()) + 1)
    both = HybridBound(model, nn.Linear(model.data.dims, labels.levels), labels, 1 / weight)
    fitted = fit(both, (dataset.train, dataset.train_y), **pairs | settings)
    model.load_state_dict(unpacked(rounded(model)))  # as it is stored: its matrices are delicate
    return replace(fitted, best_val=evaluate.nats(model, dataset.val, repeats=4).mean)


_DIGITS = Recipe(
    dict(steps=6, width=128, dropout=0.2, stages=10),
    dict(steps=800, batch_size=100, lr=2e-3, weight_decay=0.05, average=0.99, eval_every=200,
         weight=60.0, shift=0.5, clip_norm=1.0, progress=False),
    train_beside_classes, seeds=3,
)  # fmt: skip
_HYVARINEN = (
    "Hyvarinen and Pajunen (1999), theorem 1",
    "https://doi.org/10.1016/S0893-6080(98)00140-3",
)
_CHEN = ("Chen et al. (2020), SimCLR", "https://arxiv.org/abs/2002.05709")
_HE = ("He et al. (2022), masked autoencoders", "https://arxiv.org/abs/2111.06377")
_SMALL = dict(width=6, features=5)

ENTRIES = (
    Entry(
        wound_flow, "F10", _HYVARINEN,
        Tiny(Levels((1, 2, 2), 4), dict(steps=2, width=7, turns=0.03, stages=2), std=0.1),
        {"digits": _DIGITS}, branch=FLOW,
    ),
    Entry(contrastive, "F10 R10", _CHEN, Tiny(Levels((1, 4, 4), 5), _SMALL | dict(projected=3))),
    Entry(masked_prediction, "F10 R10", _HE, Tiny(Levels((1, 4, 4), 5), _SMALL)),
)  # fmt: skip
