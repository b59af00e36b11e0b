"""A table of correlations as colours, and a traversal: one code moved, all others kept."""

from collections.abc import Callable, Sequence

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

_SIGNED = LinearSegmentedColormap.from_list(
    "dgm-signed", ["#A23B00", "#F2C4A6", "#FFFFFF", "#9CC8E6", "#0B4A86"]
)


def correlation_map(
    values: Tensor, rows: Sequence[str], columns: Sequence[str], ax: Axes | None = None,
    title: str = "",
) -> Figure:  # fmt: skip
    """Entries of -1 .. 1 in hundredths: blue above zero, orange below.

    Raises
    ------
    ValueError : names that do not fit ``values`` (R, C).
    """
    if tuple(values.shape) != (len(rows), len(columns)):
        raise ValueError(f"values: got {tuple(values.shape)}; expected {len(rows), len(columns)}")
    ax = ax or plt.subplots(figsize=(0.62 * len(columns) + 1.6, 0.42 * len(rows) + 1.2))[1]
    ax.imshow(values.numpy(), cmap=_SIGNED, vmin=-1, vmax=1, aspect="auto")
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            color = "white" if abs(value) > 0.7 else "black"
            text = f"{100 * value:.0f}"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=9.5)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    ax.set(title=title)
    ax.grid(False)
    return ax.figure


@torch.no_grad()
def traversals(
    decode: Callable[[Tensor], Tensor], z: Tensor, units: Sequence[int], values: Tensor
) -> Tensor:
    """The code z (d,) with each of ``units`` set to each of ``values`` (V,), decoded.

    ``decode`` maps codes (N, d) to pictures (N, C, H, W); the answer is (V, units, C, H, W).

    Raises
    ------
    ValueError : a unit that z has not got.
    """
    if z.ndim != 1 or not all(0 <= unit < len(z) for unit in units):
        raise ValueError(f"units must be in 0 .. {len(z) - 1}, got {list(units)}")
    codes = z.repeat(len(values), len(units), 1)
    for k, unit in enumerate(units):
        codes[:, k, unit] = values.to(codes)
    return decode(codes.flatten(0, 1)).unflatten(0, (len(values), len(units)))
