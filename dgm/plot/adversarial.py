"""Attacked pictures: what was changed, who says what, accuracy against distance, two histograms."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.figure import COLORS, INK, MUTED


def altered(rows: Mapping[str, Tensor], captions: Mapping[str, Sequence[str]]) -> Figure:
    """A row of pictures (N, 1, H, W) in 0 .. 1 for each name, with a caption under each picture."""
    n = len(next(iter(rows.values())))
    fig, axes = plt.subplots(len(rows), n, figsize=(0.95 * n + 1.1, 1.2 * len(rows)), squeeze=False)
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for k, ax in enumerate(line):
            ax.imshow(pictures[k, 0].detach().numpy(), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(captions[name][k], fontsize=9, labelpad=2)
            ax.grid(visible=False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=INK)
    return fig


def accuracy_by_distance(
    radii: Sequence[float], shares: Mapping[str, Sequence[float]], ax: Axes | None = None,
    title: str = "",
) -> Figure:  # fmt: skip
    """Share of pictures still right at each distance, a line for each name."""
    ax = ax or plt.subplots(figsize=(6.2, 3.4))[1]
    marks = "osD^v*"
    for k, (name, values) in enumerate(shares.items()):
        style = dict(color=COLORS[k % len(COLORS)], marker=marks[k % len(marks)], label=name)
        ax.plot(radii, values, **style)
    ax.set(xlabel="distance allowed (Euclidean, pixels in 0 .. 1)", ylabel="share still right")
    ax.set(ylim=(-0.03, 1.03), title=title)
    ax.legend(fontsize=8.5)
    return ax.figure


def two_classes_of_nats(own: Tensor, other: Tensor) -> Figure:
    """Histograms of -log p(x | y) for the right class and the best wrong one, and of the gap."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.0, 2.9), width_ratios=(3, 2))
    edges = np.linspace(min(own.min(), other.min()).item(), max(own.max(), other.max()).item(), 40)
    for values, name, color in ((own, "right class", COLORS[0]), (other, "best wrong", COLORS[1])):
        left.hist(values.numpy(), bins=edges, alpha=0.55, color=color, label=name)
    left.set(xlabel="nats of the picture", ylabel="pictures")
    left.legend(fontsize=8.5)
    right.hist((other - own).numpy(), bins=30, color=COLORS[2])
    right.axvline(0, color=INK, linewidth=1)
    right.set(xlabel="gap, wrong less right (nats)")
    return fig


def attacked_frame(
    picture: Tensor, change: Tensor, answers: Mapping[str, Tensor], largest: float = 1.0
) -> Figure:
    """A picture (H, W) in 0 .. 1, what was changed, and class probabilities (K,) of each name."""
    widths = (1, 1, *[1.25] * len(answers))
    fig, axes = plt.subplots(1, len(widths), figsize=(7.0, 2.0), width_ratios=widths)
    axes[0].imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1)
    axes[1].imshow(change.numpy(), cmap="RdBu_r", vmin=-largest, vmax=largest)
    for ax, title in zip(axes, ("picture", "change"), strict=False):
        ax.set(xticks=[], yticks=[], title=title)
        ax.grid(visible=False)
    for ax, (name, p) in zip(axes[2:], answers.items(), strict=True):
        said = int(p.argmax())
        colors = [COLORS[1] if k == said else MUTED for k in range(len(p))]
        ax.bar(range(len(p)), p.numpy(), color=colors)
        ax.set(title=name, ylim=(0, 1.05), yticks=[0, 1], xticks=range(len(p)))
        ax.tick_params(labelsize=8)
        ax.grid(visible=False)
    return fig
