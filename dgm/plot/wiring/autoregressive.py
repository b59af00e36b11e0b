"""Chapter 10: the chain rule in any order, MADE's masks, NADE's running sum, a recurrent state."""

from collections.abc import Sequence

from torch import Tensor, nn

from dgm.plot.schematic import Diagram, Schematic, panels


def chain_rule(order: Sequence[int] = (0, 1, 2, 3)) -> Schematic:
    """Who sees whom when the variables come in this order; ``order[t]`` is the t-th, at most 5.

    Raises
    ------
    ValueError : the order is no permutation of 0 .. D-1 with D from 2 to 5.
    """
    order = [int(v) for v in order]
    if sorted(order) != list(range(len(order))) or not 2 <= len(order) <= 5:
        raise ValueError(f"order: got {order}; a permutation of 0 .. D-1, D from 2 to 5")
    names = [f"$x_{v + 1}$" for v in order]
    d = Diagram(
        "The chain rule",
        "Columns are variables, rows the factors in their order: "
        + "; ".join(
            f"x{v + 1} sees {', '.join(f'x{u + 1}' for u in sorted(order[:t])) or 'nothing'}"
            for t, v in enumerate(order)
        )
        + ".",
        legend={"data": "is seen", "probability": "is predicted"},
    )
    # a row for each factor
    size, side = len(order), 30
    cells = [["data" if u in order[:t] else "probability" if u == v else "" for u in range(size)]
             for t, v in enumerate(order)]  # fmt: skip
    middle = 10 + side * size / 2
    box = d.grid(cells, middle, 40 + side * size / 2, side)
    for u in range(size):
        d.note(f"$x_{u + 1}$", 10 + side * (u + 0.5), 24)
    for t in range(size):
        given = f" | {', '.join(n.strip('$') for n in sorted(names[:t]))}" if t else ""
        law = f"$p({names[t].strip('$')}{given})$"
        d.note(law, box.span(0)[1] + 14, 40 + side * (t + 0.5), "start")
    return panels(d)


def made_masks(net: nn.Module, rank: Tensor | None = None) -> Schematic:
    """The masks of a MADE as they are: first and last layer of its own ``masks(rank)``.

    Parameters
    ----------
    net : MADE of dgm/nets; small: at most 6 variables and 8 hidden units are readable.
    rank : (D,), optional
        The place of each variable in the order.

    Raises
    ------
    ValueError : a network too large to read.
    """
    size, width = net.size, len(net.degree)
    if size > 6 or width > 8:
        raise ValueError(f"net: {size} variables and {width} units; at most 6 and 8 are drawn")
    ranks = list(range(size)) if rank is None else [int(r) for r in rank]
    first, _, last, direct = net.masks(rank)
    first, direct = (m.view(len(m), size, -1)[:, :, 0] for m in (first, direct))
    last, direct = (m.view(size, net.out_features, -1)[:, 0] for m in (last, direct))
    degrees = [f"{int(m)}" for m in net.degree]
    names = [f"$x_{v + 1}$" for v in range(size)]
    says = f"Places of the variables in the order: {[r + 1 for r in ranks]}; degrees {degrees}."
    return panels(
        _mask("Variables to units (degrees)", says, first, names, degrees),
        _mask("Units (degrees) to outputs", says, last, degrees, names),
        _mask("Direct connections", says, direct, names, names),
    )


def _mask(title: str, says: str, mask: Tensor, above: list[str], beside: list[str]) -> Diagram:
    """A mask (out, in) as a grid: columns are inputs, rows outputs."""
    kept = [["network" if m else "" for m in row] for row in mask.tolist()]
    legend = {"network": "connection kept, from column to row"}
    d = Diagram(title, f"{title}: rows see columns. {says}", heading=True, legend=legend)
    side, top = 24, 58
    d.grid(kept, 40 + side * len(above) / 2, top + side * len(beside) / 2, side)
    for k, name in enumerate(above):
        d.note(name, 40 + side * (k + 0.5), top - 14)
    for k, name in enumerate(beside):
        d.note(name, 32, top + side * (k + 0.5), "end")
    return d


def nade_sum() -> Schematic:
    """NADE: one running sum of terms W e(x); each variable reads it before its own is added."""
    d = Diagram(
        "NADE: one running sum",
        "A sum begins at c. Its sigmoid is the hidden layer from which the law of x1 is read. Then "
        "the term of x1 is added, x2 is read, and so on: one term a step.",
    )
    sums = [d.node("step", text, 52 + 108 * t, 150, 84)
            for t, text in enumerate(("$c$", "+ $W_1 x_1$", "+ $W_2 x_2$"))]  # fmt: skip
    for t, state in enumerate(sums):
        hidden = d.node("network", "$σ$, $V_" + f"{t + 1}$", state.x, 90, 84)
        seen = " | $x_1$" if t == 1 else " | $x_1, x_2$" if t else ""
        law = d.node("probability", f"$p(x_{t + 1}$" + seen + "$)$", state.x, 30, 100)
        d.arrow(state, hidden)
        d.arrow(hidden, law)
        if t:
            x = d.node("data", f"$x_{t}$", state.x, 215)
            d.arrow(x, state)
            d.arrow(sums[t - 1], state)
    return panels(d)


def recurrent_chain() -> Schematic:
    """A recurrent network: the same cell at every step, all of the past in a state."""
    d = Diagram(
        "A recurrent network",
        "The same cell three times. It reads the value before and hands a state to the next cell; "
        "from the state the law of the next value is read.",
    )
    cells = []
    for t in range(3):
        x = 52 + 108 * t
        cells.append(d.node("network", "cell", x, 100, 70))
        before = d.node("data", f"$x_{t}$" if t else "start", x, 165)
        seen = " | $x_1$" if t == 1 else " | $x_1, x_2$" if t else ""
        law = d.node("probability", f"$p(x_{t + 1}$" + seen + "$)$", x, 30, 100)
        d.arrow(before, cells[t])
        d.arrow(cells[t], law)
        if t:
            d.arrow(cells[t - 1], cells[t], "state" if t == 1 else "")
    return panels(d)
