"""Chapter 7: who is drawn on the way up and who on the way down, read off the model itself."""

from collections.abc import Mapping

from torch import nn

from dgm.hierarchical.inference import (
    FromBelow,
    FromBoth,
    PrecisionWeighted,
    ResidualNormal,
    SumOfBoth,
)
from dgm.hierarchical.state import Replaced
from dgm.hierarchical.top_down import TopDown
from dgm.plot.schematic import Diagram, Schematic, panels

_STEP, _FIRST = 92, 62  # from layer to layer; where the top one stands
_MERGES = {
    PrecisionWeighted: "× prior",
    SumOfBoth: "sum",
    ResidualNormal: "prior + change",
    FromBoth: "both",
}


def layer_dependence(models: Mapping[str, nn.Module]) -> Schematic:
    """One panel for each `TopDown`: features, layers and states, an arrow for each dependence.

    Dashed arrows are of inference alone. At most three layers are drawn: the two at the top and the
    lowest one.

    Raises
    ------
    ValueError : no models, or one that is no `TopDown`.
    """
    wrong = [name for name, model in models.items() if not isinstance(model, TopDown)]
    if wrong or not models:
        raise ValueError(f"models must hold one TopDown or more, got {wrong or 'none'}")
    return panels(*(_panel(name, model) for name, model in models.items()))


def facts(model: TopDown) -> list[dict[str, object]]:
    """What the drawing shows of every layer, top first: who infers it, who it feeds.

    ``up`` and ``down``: a part of it is drawn on that way. ``prior_in_q``: the posterior is made of
    the prior. ``above_in_q``: it sees the state above. ``keeps``: the state below still knows what
    was above.
    """
    found = []
    for layer in model.layers:
        q = layer.posterior
        found.append({
            "up": layer.rising is not None,
            "down": q is not None,
            "prior_in_q": isinstance(q, PrecisionWeighted | ResidualNormal),
            "above_in_q": q is not None and not isinstance(q, FromBelow),
            "keeps": not isinstance(layer.update, Replaced),
            "merge": next((word for kind, word in _MERGES.items() if isinstance(q, kind)), ""),
        })  # fmt: skip
    return found


_WAYS = {
    (True, False): "Every layer is drawn on the way up, from the draw below it",
    (False, True): "Every layer is drawn on the way down, from the features and what is above",
    (True, True): "A part of each layer is drawn on the way up, the rest on the way down",
}


def _panel(name: str, model: TopDown) -> Diagram:
    rows = facts(model)
    kept = list(range(len(rows))) if len(rows) <= 3 else [0, 1, len(rows) - 1]
    # in words
    ways = _WAYS[any(r["up"] for r in rows), any(r["down"] for r in rows)]
    chain = "a state keeps what was above" if rows[0]["keeps"] else "the layers are a chain"
    d = Diagram(name, f"{ways}; {chain}.", heading=True, legend={"step": "state"})
    # columns: features on the left, layers in the middle, states on the right
    y = [_FIRST + _STEP * k for k in range(len(kept) + 1)]
    features = [d.node("network", _name("d", i, rows), 42, y[k], 50) for k, i in enumerate(kept)]
    layers = [d.node("latent", _name("z", i, rows), 158, y[k], 50) for k, i in enumerate(kept)]
    states = [d.node("step", _name("h", i, rows), 274, y[k], 50) for k, i in enumerate(kept)]
    features.append(d.node("data", "$x$", 42, y[-1]))
    states.append(d.node("probability", "$p(x | z)$", 274, y[-1]))
    _upward(d, [rows[i] for i in kept], features, layers)
    _downward(d, [rows[i] for i in kept], layers, states)
    if len(kept) < len(rows):
        d.note(f"{len(rows) - 3} more", 158, y[-2] - 46)
    return d


def _name(letter: str, index: int, rows: list) -> str:
    """The name of a node: layers are numbered from the picture upwards."""
    return f"${letter}_{{{len(rows) - index}}}$"


def _upward(d: Diagram, rows: list, features: list, layers: list) -> None:
    """What the upward pass reads: the features below, or the draws made on the way."""
    for k in range(len(rows)):
        below = rows[k + 1] if k + 1 < len(rows) else None
        if below and below["up"]:
            d.arrow(layers[k + 1], features[k], dashed=True)
        if below is None or below["down"]:
            d.arrow(features[k + 1], features[k], dashed=True)
        d.arrow(features[k], layers[k], "q", dashed=True)


def _downward(d: Diagram, rows: list, layers: list, states: list) -> None:
    """The states: each gives the prior of its layer, and goes on to the one below."""
    for k, row in enumerate(rows):
        d.arrow(states[k], layers[k], "p, q" if row["above_in_q"] else "p")
        d.arrow(layers[k], states[k + 1])
        if row["keeps"]:
            d.arrow(states[k], states[k + 1])
        if row["merge"]:
            d.note(row["merge"], 122, layers[k].y + 26)
