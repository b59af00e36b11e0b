"""How recipes train continuous flows: by flow matching first, then by likelihood."""

from typing import Any

from torch import nn

from dgm.continuous.flow_matching import FlowMatching, round_way, straight_way
from dgm.train import Fit, fit


def match_and_fit(
    model: nn.Module,
    dataset: Any,
    seed: int,
    *,
    match: dict[str, Any],
    round_ways: bool = False,
    held_out: int | None = None,
    scored: int | None = None,
    **settings: Any,
) -> Fit:
    """Learn the field by flow matching with settings ``match``, then by likelihood with the rest.

    A recipe's test score is taken on the first ``scored`` test examples, on all where that is None
    (train.py reads it).
    """
    if hasattr(model, "start_from"):
        model.start_from(dataset.train)
    way = round_way if round_ways else straight_way
    shared = {k: v for k, v in settings.items() if k in ("clip_norm", "progress", "batch_size")}
    fit(FlowMatching(model, way), dataset.train, seed=seed, **shared | match)
    return fit(model, dataset.train, val=dataset.val[:held_out], seed=seed + 1000, **settings)
