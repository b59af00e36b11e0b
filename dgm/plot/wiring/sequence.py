"""Chapter 12: dilated convolutions, gates, attention: networks over tokens as they are."""

import torch
from torch import nn

from dgm.plot.schematic import Diagram, Schematic, panels

_MOST = 16  # positions that fit a panel


def dilated(net: nn.Module) -> Schematic:
    """Which positions the last output reaches through a WaveNet's blocks, as far as they fit.

    Blocks are drawn from the input up while what they reach is at most 16 positions.

    Parameters
    ----------
    net : WaveNet of dgm/nets, or any module with ``blocks`` that have a ``dilation`` and two taps.
    """
    all_of_them = [int(block.dilation) for block in net.blocks]
    drawn = [d for k, d in enumerate(all_of_them) if 1 + sum(all_of_them[: k + 1]) <= _MOST]
    field, size = 1 + sum(all_of_them), 1 + sum(drawn)
    d = Diagram(
        f"Dilations {', '.join(map(str, all_of_them))}",
        f"Each layer joins a position with one 1, 2, 4 ... before it, here {drawn} apart. The "
        f"output at the top reaches {size} inputs; all {len(all_of_them)} layers reach {field}.",
        legend={"network": "used by the last output", "data": "input that it reaches"},
    )
    # who is used, from the top down
    used = [{size - 1}]
    for by in reversed(drawn):
        used.insert(0, {s for t in used[0] for s in (t, t - by)})
    # dots from the bottom up, and the taps of those that are used
    bottom, gap = 30 + 52 * len(drawn), min(20, 250 / max(size - 1, 1))
    below: list = []
    for level, ours in enumerate(used):
        y, by, kind = bottom - 52 * level, drawn[level - 1], "network" if level else "data"
        d.note(f"by {by}" if level else "input", 54, y, "end")
        row = [d.dot(kind if t in ours else "", 70 + gap * t, y) for t in range(size)]
        for t in sorted(ours) if level else ():
            d.arrow(below[t], row[t], head=False)
            d.arrow(below[t - by], row[t], head=False)
        below = row
    d.note(
        f"{len(drawn)} of {len(all_of_them)} layers; all reach {field} positions",
        60,
        bottom + 24,
        "start",
    )
    return panels(d)


def gated_block(block: nn.Module) -> Schematic:
    """One block of a WaveNet: two taps, the gate, the skip, and the residual if it has one.

    Parameters
    ----------
    block : GatedResidualBlock of dgm/nets.
    """
    residual = block.residual is not None
    d = Diagram(
        "A gated block",
        f"The features at t and at t minus {block.dilation} lead to a tanh and to a sigmoid, which "
        "are multiplied. One map of the product is the skip"
        + (", another is added to the features at t." if residual else "; nothing is passed on."),
    )
    # the two taps and the gate
    now = d.node("step", "at $t$", 220, 20, 70)
    past = d.node("step", f"at $t − {block.dilation}$", 80, 20, 80)
    taps = d.node("network", "two taps", 150, 80, 220)
    value, gate = d.node("step", "tanh", 85, 140, 64), d.node("step", "sigmoid", 215, 140, 80)
    product = d.node("step", "×", 150, 195, 26, 26)
    skip = d.node("network", "1×1", 85, 250, 70)
    d.arrow(past, taps)
    d.arrow(now, taps)
    for law in (value, gate):
        d.arrow(taps, law)
        d.arrow(law, product)
    d.arrow(product, skip, via=[(85, 195)])
    d.arrow(skip, d.node("step", "skip, to the output", 85, 310, 150))
    if residual:
        mix, total = d.node("network", "1×1", 215, 250, 70), d.node("step", "+", 215, 310, 26, 26)
        d.arrow(product, mix, via=[(215, 195)])
        d.arrow(mix, total)
        d.arrow(now, total, via=[(300, 20), (300, 310)])
        d.arrow(total, (215, 350), "next block")
    return panels(d)


def lstm_gates() -> Schematic:
    """A cell of an LSTM: forget, write, read; the memory runs straight through."""
    d = Diagram(
        "A cell of an LSTM",
        "The memory c passes from left to right: it is multiplied by the forget gate, then the "
        "input gate times new content is added. The output gate times tanh of the memory is h. "
        "All gates are read from the token and from h before.",
    )
    # the memory above, the gates below
    before = d.node("latent", "$c_{t−1}$", 28, 50, 46)
    forget, write = d.node("step", "×", 95, 50, 26, 26), d.node("step", "+", 180, 50, 26, 26)
    after = d.node("latent", "$c_t$", 300, 50, 44)
    read = d.node("step", "× tanh", 240, 105, 60, 26)
    gates = [d.node("network", text, x, 165, 76, 48)
             for x, text in ((75, "forget\n$f$"), (157, "input\n$i$, new"),
                             (240, "output\n$o$"))]  # fmt: skip
    state = d.node("latent", "$h_{t−1}$", 110, 240, 46)
    token = d.node("data", "$x_t$", 210, 240, 40)
    hidden = d.node("latent", "$h_t$", 306, 105, 40)
    for a, b in (
        (before, forget),
        (forget, write),
        (write, after),
        (gates[2], read),
        (read, hidden),
    ):
        d.arrow(a, b)
    d.arrow(gates[0], forget)
    d.arrow(gates[1], write)
    d.arrow((240, 50), read)
    for source in (state, token):
        d.arrow(source, (source.x, 199))
    d.frame(gates, pad=8)
    d.legend["latent"] = "memory and state"
    return panels(d)


def transformer_block(block: nn.Module) -> Schematic:
    """One block as it is: attention with its heads, network with its width, two residuals.

    Parameters
    ----------
    block : TransformerBlock of dgm/nets.
    """
    heads, width = block.attention.n_heads, block.net[0].in_features
    inner = block.net[0].out_features
    d = Diagram(
        "A Transformer block",
        f"Features pass a normalisation and causal attention with {heads} heads and are added to "
        f"what came in; then a normalisation and a network of {inner} hidden units for each "
        "position, added again.",
    )
    # twice: norm, layer, plus
    start = d.node("step", f"features, {width} a position", 150, 20, 200)
    below, y = start, 75
    for layer_text in (
        f"attention, {heads} heads\nreads positions up to $t$",
        f"{width} → {inner} → {width}\neach position alone",
    ):
        norm = d.node("network", "norm", 150, y, 80)
        layer = d.node("network", layer_text, 150, y + 62, 196)
        total = d.node("step", "+", 150, y + 122, 26, 26)
        for a, b in ((below, norm), (norm, layer), (layer, total)):
            d.arrow(a, b)
        d.arrow((150, y - 26), total, via=[(275, y - 26), (275, y + 122)])
        below, y = total, y + 182
    d.arrow(below, d.node("step", "features", 150, y - 4, 90))
    return panels(d)


def attention_sight(attention: nn.Module, size: int = 6) -> Schematic:
    """Who looks at whom in an attention layer: where its own ``weights`` are not zero.

    Parameters
    ----------
    attention : CausalAttention of dgm/nets. size : positions, at most 10.
    """
    width = attention.qkv.in_features
    with torch.no_grad():
        features = torch.randn(1, size, width, generator=torch.Generator().manual_seed(0))
        weights = attention.weights(features.to(attention.qkv.weight))[0].amax(0)  # (T, T)
    cells = [["data" if w > 0 else "" for w in row] for row in weights.tolist()]
    d = Diagram(
        "Who looks at whom",
        "Row t looks at columns: "
        + "; ".join(f"{t + 1} at {row.count('data')}" for t, row in enumerate(cells))
        + ".",
        legend={"data": "looked at"},
    )
    side, left, top = 26, 40, 50
    d.note("position looked at", left + side * size / 2, 10)
    d.note("$t$", 14, top + side * size / 2)
    for t in range(size):
        d.note(f"{t + 1}", left + side * (t + 0.5), 36)
        d.note(f"{t + 1}", 32, top + side * (t + 0.5), "end")
    d.grid(cells, left + side * size / 2, top + side * size / 2, side)
    return panels(d)
