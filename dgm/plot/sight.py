"""What a place of a causal network sees, as maps: white later, orange blind, blue seen, black here.

A view (H, W) holds integers: 0 later, 1 earlier but out of sight, 2 seen, 3 the place itself.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from torch import Tensor

from dgm.plot.figure import MUTED

VIEW_COLORS = np.array([[1, 1, 1], [0.85, 0.35, 0.05], [0.55, 0.75, 0.9], [0.1, 0.1, 0.1]])


def sight_map(view: Tensor, ax: Axes | None = None, title: str = "") -> Figure:
    """One view (H, W) in its four colours.

    Raises
    ------
    ValueError : the view is not (H, W), or holds other numbers than 0 to 3.
    """
    found = set(view.unique().tolist())
    if view.ndim != 2 or not found <= {0, 1, 2, 3}:
        raise ValueError(f"view: got shape {tuple(view.shape)} with values {sorted(found)}")
    ax = plt.subplots(figsize=(2.6, 2.8))[1] if ax is None else ax
    ax.imshow(VIEW_COLORS[view.long().numpy()])
    return _bare(ax, title)


def unseen_map(counts: Tensor, ax: Axes, title: str = "", most: float = 14.0) -> Figure:
    """How many earlier pixels each place (H, W) does not see, as shades with the numbers."""
    ax.imshow(counts.numpy(), cmap="Oranges", vmin=0, vmax=most)
    for i, j in counts.nonzero().tolist():
        ax.text(j, i, int(counts[i, j]), ha="center", va="center", fontsize=7)
    return _bare(ax, title)


def stack_maps(vertical: Sequence[Tensor], horizontal: Sequence[Tensor]) -> Figure:
    """Views of v and h layer by layer, the vertical stack on top, and who feeds whom.

    Parameters
    ----------
    vertical : K views, of v after the first layer and the next ones.
    horizontal : K + 1 views, of h likewise; layer k of v is handed down to layer k + 1 of h.

    Raises
    ------
    ValueError : not one view more of h than of v.
    """
    if len(horizontal) != len(vertical) + 1:
        raise ValueError(f"horizontal: {len(horizontal)} views for {len(vertical)} of v; one more")
    n = len(vertical)
    size = 2.1 * (n + 1), 4.5
    fig, axes = plt.subplots(2, n + 1, figsize=size, gridspec_kw=dict(wspace=0.35))
    for row, (letter, views) in enumerate((("v", vertical), ("h", horizontal))):
        for k, view in enumerate(views):
            sight_map(view, axes[row, k], f"${letter}_{k}$")
    axes[0, n].set_axis_off()
    words = "top: $v$, rows above only\nbottom: $h$, also this row\ngrey: handed down, never up"
    axes[0, n].text(-0.1, 0.5, words, va="center", fontsize=9)
    # along each stack, then down
    for k in range(n):
        if k + 1 < n:
            _arrow(axes[0, k], axes[0, k + 1], (1.03, 0.5), (-0.03, 0.5), "0.2")
        _arrow(axes[1, k], axes[1, k + 1], (1.03, 0.5), (-0.03, 0.5), "0.2")
        _arrow(axes[0, k], axes[1, k + 1], (0.9, -0.03), (0.1, 1.2), "0.6")
    return fig


def _arrow(start: Axes, end: Axes, leaves: tuple, enters: tuple, color: str) -> None:
    """An arrow from one panel to another, in fractions of their sides."""
    arrow = ConnectionPatch(
        leaves, enters, "axes fraction", "axes fraction", axesA=start, axesB=end,
        arrowstyle="-|>", mutation_scale=12, color=color,
    )  # fmt: skip
    start.figure.add_artist(arrow)


def _bare(ax: Axes, title: str) -> Figure:
    """A frame and a centred title; no ticks, no grid."""
    ax.set_title(title, fontsize=10, loc="center")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for side in ax.spines.values():
        side.set(visible=True, color=MUTED)
    return ax.figure
