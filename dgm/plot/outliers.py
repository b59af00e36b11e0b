"""Figures of likelihoods of the wrong data: histograms, areas, ratios pixel by pixel, contrast."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.figure import COLORS, INK, MUTED

INSIDE, OUTSIDER = COLORS[0], COLORS[1]


def two_histograms(
    rows: Mapping[str, tuple[Tensor, Tensor]], names: tuple[str, str], xlabel: str,
    notes: Mapping[str, str],
) -> Figure:  # fmt: skip
    """For each model the histograms of a score on pictures of the kind and on others.

    Parameters
    ----------
    rows : model: (scores inside (N,), scores outside (M,)). names : of the two sets.
    notes : model: what to write beside it. Every row has its own axis.

    Raises
    ------
    ValueError : no rows.
    """
    if not rows:
        raise ValueError("rows: expected one model or more, got none")
    fig, axes = plt.subplots(len(rows), 1, figsize=(6.6, 1.12 * len(rows) + 0.5), squeeze=False)
    for ax, (model, pair) in zip(axes[:, 0], rows.items(), strict=True):
        inside, outside = (t.numpy() for t in pair)
        ends = np.percentile(np.concatenate((inside, outside)), (0.5, 99.5))
        bins = np.linspace(*ends, 46)
        for values, color in ((inside, INSIDE), (outside, OUTSIDER)):
            ax.hist(np.clip(values, *ends), bins, color=color, alpha=0.65)
        ax.set(yticks=[])
        ax.set_title(model, fontsize=10)
        ax.text(1.0, 1.06, notes.get(model, ""), transform=ax.transAxes, ha="right", fontsize=9)
    axes[-1, 0].set_xlabel(xlabel)
    for k, (name, color) in enumerate(zip(names, (INSIDE, OUTSIDER), strict=True)):
        axes[0, 0].text(0.99, 0.8 - 0.24 * k, name, transform=axes[0, 0].transAxes, color=color,
                        ha="right", fontsize=9.5, weight="bold")  # fmt: skip
    return fig


def area_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: Axes | None = None
) -> Figure:
    """Areas under the ROC curve (R, C): orange below 1/2, white there, blue above.

    Raises
    ------
    ValueError : names that do not fit ``values``.
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values: got {values.shape}; expected {len(rows), len(columns)}")
    ax = ax or plt.subplots(figsize=(6.6, 0.31 * len(rows) + 1.0))[1]
    between = mpl.colors.LinearSegmentedColormap.from_list(
        "dgm-areas", [OUTSIDER, "#F3C9A8", "#FFFFFF", "#A9CCE6", INSIDE]
    )
    # shades and numbers
    ax.imshow(values, cmap=between, vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            color = "white" if abs(value - 0.5) > 0.42 else INK
            shown = "" if np.isnan(value) else f"{value:.2f}".lstrip("0")
            ax.text(j, i, shown, ha="center", va="center", color=color, fontsize=9)
    # names
    ax.set_yticks(range(len(rows)), rows, fontsize=9)
    ax.set_xticks(range(len(columns)), columns)
    ax.xaxis.tick_top()
    ax.grid(False)
    return ax.figure


def ratio_maps(x: Tensor, maps: Tensor, levels: int, most: float) -> Figure:
    """Pictures above what each pixel adds to a score: blue for the kind, orange against it.

    Parameters
    ----------
    x : (N, 1, H, W) levels. maps : (N, H, W). most : the darkest shade.

    Raises
    ------
    ValueError : pictures and maps of unequal size.
    """
    n, _, height, width = x.shape
    if maps.shape != (n, height, width):
        raise ValueError(f"maps: got {tuple(maps.shape)}; expected {(n, height, width)}")
    fig, axes = plt.subplots(2, n, figsize=(6.6, 2.5), squeeze=False)
    for k in range(n):
        axes[0, k].imshow(x[k, 0].numpy(), vmin=0, vmax=levels - 1)
        shown = axes[1, k].imshow(maps[k].numpy(), cmap="PuOr", vmin=-most, vmax=most)
        axes[1, k].set_xlabel(f"{maps[k].sum():.0f}", fontsize=9)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
    bar = fig.colorbar(shown, ax=axes, label="nats a pixel", shrink=0.8, extend="both")
    bar.outline.set_visible(False)
    return fig


def contrast_frame(
    x: Tensor, levels: int, shares: Sequence[float], curves: Mapping[str, Sequence[float]], k: int
) -> Figure:
    """Pictures (N, 1, H, W) of one contrast above curves of log p over contrast, with a mark.

    Parameters
    ----------
    shares : contrasts. curves : model: a score for each of them. k : the contrast shown.
    """
    fig, (top, below) = plt.subplots(2, 1, figsize=(6.4, 4.0), height_ratios=(1, 2.4))
    top.imshow(np.concatenate(list(x[:, 0].numpy()), axis=1), vmin=0, vmax=levels - 1)
    top.set(xticks=[], yticks=[])
    top.grid(False)
    for (name, values), color in zip(curves.items(), COLORS, strict=False):
        below.plot(shares, values, color=color, label=name)
        below.plot(shares[k], values[k], "o", color=color, markersize=8)
    below.axvline(shares[k], color=MUTED, linewidth=1)
    below.invert_xaxis()
    below.set(xlabel="contrast", ylabel="log p, bits/dim")
    below.legend(loc="upper left", fontsize=9)
    return fig
