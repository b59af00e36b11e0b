"""Chapter 11: recurrent layers over an image, orders of the pixels, upscaling in size and depth."""

from torch import Tensor, nn

from dgm.plot.schematic import Diagram, Schematic, panels

_STATES = {"latent": "states it reads", "data": "inputs it reads", "network": "the cell itself"}


def row_lstm_steps(layer: nn.Module) -> Schematic:
    """Which states and inputs a cell of this RowLSTM reads: a row above by convolution.

    Parameters
    ----------
    layer : RowLSTM of dgm/nets.
    """
    reach = layer.reach
    wide = 2 * reach + 5
    middle = wide // 2
    # a row that is done, the states above, the row at hand
    cells = [[""] * wide for _ in range(3)]
    for j in range(middle - reach, middle + reach + 1):
        cells[1][j] = "latent"
    for j in range(middle - reach, middle):
        cells[2][j] = "data"
    cells[2][middle] = "network"
    d = Diagram(
        "Row LSTM",
        f"A cell reads the {2 * reach + 1} states next to it in the row above, and the inputs of "
        f"its own row from {reach} places on its left up to itself. A whole row is one step.",
        heading=True,
        legend=_STATES,
    )
    d.grid(cells, 12 * wide, 70, 24)
    return panels(d)


def diagonal_steps() -> Schematic:
    """Which states a cell of each diagonal LSTM reads; the right one is moved down a row."""
    left = [["", "", "", ""], ["", "", "latent", ""], ["", "latent", "network", ""]]
    right = [["", "", "", ""], ["", "latent", "", ""], ["", "network", "latent", ""]]
    says = "reads the states above it and on its"
    a = Diagram("From the left", f"A cell {says} left.", heading=True, legend=_STATES)
    b = Diagram(
        "From the right, then one row down",
        f"A cell {says} right; the result is moved one row down before the two are added, so that "
        "no pixel is used before it is drawn.",
        heading=True,
        legend=_STATES,
    )
    for panel, cells in ((a, left), (b, right)):
        panel.grid(cells, 52, 72, 26)
    return panels(a, b)


def pixel_order(ranks: Tensor, at: int | None = None, title: str = "Order") -> Schematic:
    """The order of the pixels as numbers, and what is known when one of them is predicted.

    Parameters
    ----------
    ranks : (H, W) integers from 1, such as `subscale_ranks(4, 4)` of dgm/pixel; at most 10 a side.
    at : the rank of the pixel that is predicted; that of the middle of the picture if None.
    title : shown above.

    Raises
    ------
    ValueError : more than 10 pixels a side, or no pixel of that rank.
    """
    rows = ranks.tolist()
    at = int(ranks[len(rows) // 2, len(rows[0]) // 2]) if at is None else at
    if max(ranks.shape) > 10 or not (ranks == at).any():
        raise ValueError(f"ranks: {tuple(ranks.shape)}, at most 10 a side, with one of rank {at}")
    cells = [["data" if r < at else "probability" if r == at else "" for r in row] for row in rows]
    d = Diagram(
        title,
        f"Ranks by rows: {rows}. Pixels of ranks below {at} are known when {at} is predicted.",
        heading=True,
        legend={"data": "known", "probability": "predicted now"},
    )
    side = 30
    d.grid(cells, side * len(rows[0]) / 2, 32 + side * len(rows) / 2, side, texts=rows)
    return panels(d)


def upscaling() -> Schematic:
    """Size upscaling beside depth upscaling: two models whose log-probabilities add up."""
    size = _two_models(
        "Size upscaling",
        "every 2nd pixel",
        "$p($small$)$",
        "pixels between",
        "$p($rest | small$)$",
    )
    depth = _two_models(
        "Depth upscaling",
        "high bits",
        "$p($coarse$)$",
        "low bits",
        "$p($fine | coarse$)$",
    )
    return panels(size, depth)


def _two_models(title: str, first: str, law: str, rest: str, given: str) -> Diagram:
    d = Diagram(
        title,
        f"A picture is cut in two: {first}, with a model of its own, and {rest}, with a model that "
        "is given the first part. The logarithms add up to log p(x).",
        heading=True,
    )
    # the parts, their laws, and the sum
    x = d.node("data", "picture $x$", 158, 50, 110)
    parts = [d.node("data", text, a, 115, 146) for a, text in ((78, first), (238, rest))]
    laws = [d.node("probability", text, a, 185, 126) for a, text in ((78, law), (238, given))]
    total = d.node("probability", "log $p(x)$ = log + log", 158, 250)
    for part, p in zip(parts, laws, strict=True):
        d.arrow(x, part)
        d.arrow(part, p)
        d.arrow(p, total)
    d.arrow(parts[0], laws[1])
    return d
