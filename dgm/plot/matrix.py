"""A matrix of shares as shades of blue, with names along its sides."""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.figure import DENSITY


def matrix(
    values: Tensor, rows: Sequence[object], columns: Sequence[object], ax: Axes | None = None,
    numbers: bool = True, title: str = "", xlabel: str = "",
) -> Figure:  # fmt: skip
    """Entries between 0 (white) and 1 (dark), each with its number unless ``numbers`` is off.

    Raises
    ------
    ValueError : names that do not fit ``values`` (R, C).
    """
    if tuple(values.shape) != (len(rows), len(columns)):
        raise ValueError(f"values: got {tuple(values.shape)}; expected {len(rows), len(columns)}")
    ax = ax or plt.subplots(figsize=(0.55 * len(columns) + 1, 0.4 * len(rows) + 0.9))[1]
    values = values.detach().cpu()
    ax.imshow(values.numpy(), cmap=DENSITY, vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(values.tolist() if numbers else []):
        for j, value in enumerate(row):
            color = "white" if value > 0.5 else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=9.5)
    # names along the sides, slanted where they are words
    ax.set_yticks(range(len(rows)), rows)
    words = any(len(str(name)) > 3 for name in columns)
    ax.set_xticks(
        range(len(columns)), columns, rotation=40 * words, ha="right" if words else "center"
    )
    ax.set(title=title, xlabel=xlabel)
    ax.grid(False)
    return ax.figure
