"""Chapter 11: masked convolutions, the two stacks of a gated PixelCNN."""

from torch import Tensor, nn

from dgm.plot.schematic import Diagram, Schematic, panels
from dgm.plot.shapes import Box


def masked_convolution(*layers: nn.Module) -> Schematic:
    """The kernels of masked convolutions as their ``mask`` is: which taps are kept.

    Parameters
    ----------
    *layers : MaskedConv2d of dgm/nets, such as ``stack.first`` (mask A) and one of a block (B).
    """
    return panels(*(_kernel(layer.mask) for layer in layers))


def _kernel(mask: Tensor) -> Diagram:
    side, middle = len(mask), len(mask) // 2
    strict = not bool(mask[middle, middle])
    kept = int(mask.sum())
    d = Diagram(
        f"Mask {'A' if strict else 'B'}, {side} × {side}",
        f"{kept} of {side * side} taps are kept: all rows above the centre and the places to its "
        f"left, {'without' if strict else 'with'} the centre itself.",
        heading=True,
        legend={"data": "tap kept: an earlier pixel", "probability": "centre, to be predicted",
                "network": "centre kept: its feature has seen earlier pixels only"},
    )  # fmt: skip
    cells = [["data" if tap else "" for tap in row] for row in mask.tolist()]
    cells[middle][middle] = "probability" if strict else "network"
    d.grid(cells, 13 * side, 34 + 13 * side, 26)
    return d


def two_stacks(net: nn.Module) -> Schematic:
    """A GatedPixelCNN: the vertical and the horizontal stack with their real kernels, and a layer.

    Parameters
    ----------
    net : GatedPixelCNN of dgm/nets.
    """
    return panels(_stacks(net), _first_taps(net), *_layer_taps(net))


def _size(conv: nn.Module) -> str:
    return "×".join(str(k) for k in conv.kernel_size)


def _stacks(net: nn.Module) -> Diagram:
    layer = net.layers[0]
    d = Diagram(
        "Two stacks",
        f"The picture enters a vertical stack (a {_size(net.above)} convolution of the rows above) "
        f"and a horizontal one ({_size(net.left)}, the columns on the left). In each of "
        f"{len(net.layers)} layers both are convolved and gated, and the vertical one feeds the "
        "horizontal one before its gate, never back.",
        heading=True,
    )
    x = d.node("data", "picture $x$", 160, 50)
    above = d.node("network", f"{_size(net.above)}: rows above", 85, 112, 144)
    left = d.node("network", f"{_size(net.left)}: left", 245, 112, 110)
    d.arrow(x, above)
    d.arrow(x, left)
    # one layer, with its residual connections
    convs = [d.node("network", _size(conv), a, 192, 76)
             for a, conv in ((85, layer.vertical), (245, layer.horizontal))]  # fmt: skip
    link = d.node("network", "1×1", 165, 192, 54)
    gates = [d.node("network", "gate, 1×1", a, 248, 96) for a in (85, 245)]
    sums = [d.node("step", "+", a, 300, 26, 26) for a in (85, 245)]
    for start, conv, gate, total, side in zip((above, left), convs, gates, sums, (20, 310),
                                              strict=True):  # fmt: skip
        for a, b in ((start, conv), (conv, gate), (gate, total)):
            d.arrow(a, b)
        d.arrow((conv.x, 163), total, via=[(side, 163), (side, 300)])
    d.arrow(convs[0], link)
    d.arrow(link, gates[1], via=[(165, 248)])
    d.frame([Box(165, 238, 306, 164)], pad=0)
    d.note(f"× {len(net.layers)}", 165, 300)
    out = d.node("network", "1×1", 245, 358, 76)
    d.arrow(sums[1], out)
    d.arrow(out, d.node("probability", "law of each pixel", 245, 412, 140))
    return d


def _first_taps(net: nn.Module) -> Diagram:
    """What the first layer looks at: rows above by one kernel, columns on the left by another."""
    rows, columns = net.above.kernel_size
    reach = columns // 2
    cells = [["network"] * columns for _ in range(rows)]
    cells.append(["data"] * net.left.kernel_size[1] + ["probability"] + [""] * reach)
    d = Diagram(
        "First layer",
        f"The vertical kernel covers {rows} rows above in {columns} columns, the horizontal one "
        f"{net.left.kernel_size[1]} columns to the left, without the pixel itself.",
        heading=True,
        legend={"network": "vertical kernel", "data": "horizontal kernel",
                "probability": "the place itself"},
    )  # fmt: skip
    d.grid(cells, 12 * columns, 34 + 12 * len(cells), 24)
    return d


def _layer_taps(net: nn.Module) -> list[Diagram]:
    """The kernels of a later layer, one panel for each of its dilations."""
    out = []
    for by in dict.fromkeys(layer.vertical.dilation[0] for layer in net.layers):
        layer = next(n for n in net.layers if n.vertical.dilation[0] == by)
        (rows, columns), (_, taps) = layer.vertical.kernel_size, layer.horizontal.kernel_size
        d = Diagram(
            f"Later layers, dilation {by}",
            f"The vertical kernel covers {rows} rows down to its own and {columns} columns, the "
            f"horizontal one {taps} columns up to its own, {by} apart.",
            heading=True,
        )
        tall, wide, long = (by * (n - 1) + 1 for n in (rows, columns, taps))
        on = lambda i, j, by=by: i % by == 0 and j % by == 0  # noqa: E731
        side = min(24, 150 / max(wide, long))
        upper = [["network" if on(i, j) else "" for j in range(wide)] for i in range(tall)]
        lower = [["data" if on(0, j) else "" for j in range(long)]]
        d.grid(upper, side * wide / 2, 34 + side * tall / 2, side)
        d.grid(lower, 20 + side * (wide + long / 2), 34 + side * (tall - 0.5), side)
        out.append(d)
    return out
