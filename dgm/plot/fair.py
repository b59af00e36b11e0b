"""Figures of fair codes: what a code knows beside what it is for, gaps of two groups, answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgm.plot.figure import COLORS, INK, MUTED

TASK, SECRET = COLORS[0], COLORS[1]


def knows_and_needs(
    rows: Mapping[str, tuple[Sequence[float], Sequence[float]]], chance: tuple[float, float],
    ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """For each code two bars from chance: how well a task, and how well a secret can be read.

    Parameters
    ----------
    rows : name of a code: (accuracies of the task, accuracies of the secret), one for each seed.
    chance : accuracy of always naming the larger class, for the task and for the secret.
    """
    ax = ax or plt.subplots(figsize=(6.4, 0.95 * len(rows) + 0.9))[1]
    for k, pair in enumerate(rows.values()):
        for j, (shares, color, low) in enumerate(zip(pair, (TASK, SECRET), chance, strict=True)):
            y, mean = k + 0.22 * (2 * j - 1), float(np.mean(shares))
            ax.barh(y, mean - low, left=low, height=0.36, color=color)
            ax.plot(shares, [y] * len(shares), "o", color=INK, markersize=3)
            word = ("task", "secret")[j]
            ax.text(max(*shares, low) + 0.01, y, f"{word} {mean:.0%}", color=color, va="center")
            ax.plot([low, low], [y - 0.2, y + 0.2], color=INK, linewidth=2)
    lows = (min(chance) - 0.03, 1.0)
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlim=lows, ylim=(len(rows) - 0.5, -0.5))
    ax.set(xlabel="accuracy of a fresh classifier on the code (black line: chance)")
    ax.grid(axis="y", visible=False)
    return ax.figure


def gap_and_accuracy(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    points: Mapping[str, Sequence[tuple[float, float]]], ax: Axes | None = None, title: str = "",
) -> Figure:  # fmt: skip
    """Accuracy against a gap: ``curves`` (gaps, accuracies) as lines, ``points`` of seeds as dots.

    The points of one name share a colour, darker where they come later in the mapping.
    """
    ax = ax or plt.subplots(figsize=(6.2, 3.6))[1]
    for k, (name, (gaps, shares)) in enumerate(curves.items()):
        ax.plot(
            gaps, shares, color=(MUTED, COLORS[2])[k % 2], linestyle=("-", "--")[k % 2], label=name
        )
    shades = plt.get_cmap("viridis")(np.linspace(0.85, 0.05, max(len(points), 2)))
    for shade, (name, pairs) in zip(shades, points.items(), strict=False):
        across, up = zip(*pairs, strict=True)
        ax.plot(across, up, "o", color=shade, label=name, markersize=6)
    ax.set(xlabel="gap between the groups", ylabel="accuracy of the task", title=title)
    ax.legend(fontsize=8.5, ncols=1)
    return ax.figure


def threshold_frame(
    merit: np.ndarray, shapes: Sequence[np.ndarray], t: tuple[float, float],
    outcome: Mapping[str, float],
) -> Figure:  # fmt: skip
    """Densities of merit in two groups, what lies above a threshold of each, and three numbers."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7), width_ratios=(3, 2))
    # group 0 upwards, group 1 downwards
    for k, (shape, at) in enumerate(zip(shapes, t, strict=True)):
        color, sign = COLORS[k], 1 - 2 * k
        left.plot(merit, sign * shape, color=color)
        above = merit >= at
        left.fill_between(merit[above], 0, sign * shape[above], color=color, alpha=0.35)
        left.plot([at, at], [0, sign * 0.36], color=INK, linestyle="--", linewidth=1.5)
        left.text(-3.9, sign * 0.24, f"group {k}", color=color, va="center")
    left.set(ylim=(-0.4, 0.4), xlim=(-4, 4), yticks=[], xlabel="merit m (filled: yes)")
    # the numbers
    names = ("accuracy", "parity", "odds")
    for row, name in enumerate(names):
        right.barh(row, outcome[name], color=(TASK, SECRET, COLORS[3])[row])
        right.text(outcome[name] + 0.02, row, f"{outcome[name]:.2f}", va="center")
    words = ["accuracy", "parity gap", "odds gap"]
    right.set(yticks=range(3), yticklabels=words, xlim=(0, 1.1), ylim=(2.6, -0.6))
    right.grid(axis="y", visible=False)
    return fig


def answers_frame(
    histogram: Sequence[Sequence[float]], numbers: Mapping[str, float], names: tuple[str, str]
) -> Figure:
    """What a probe says of the two groups, as shares in equal bins, and three numbers beside it."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7), width_ratios=(3, 2))
    edges = np.linspace(0, 1, len(histogram[0]) + 1)
    for k, shares in enumerate(histogram):
        left.stairs(shares, edges, fill=True, alpha=0.5, color=COLORS[k], label=names[k])
    left.set(
        xlabel="probe's chance of group 1", ylabel="share of its group", ylim=(0, 1), xlim=(0, 1)
    )
    left.legend(loc="upper right")
    for row, value in enumerate(numbers.values()):
        right.barh(row, value, color=(TASK, SECRET, COLORS[3], COLORS[2])[row % 4])
        right.text(value + 0.02, row, f"{value:.2f}", va="center")
    right.set(yticks=range(len(numbers)), yticklabels=list(numbers), xlim=(0, 1.15))
    right.set(ylim=(len(numbers) - 0.4, -0.6))
    right.grid(axis="y", visible=False)
    return fig
