"""Frames of a game: two densities with the critic between them, orbits, points among modes."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.figure import COLORS, MUTED


def kernel_smoothed(draws: Tensor, x: Tensor, width: float) -> Tensor:
    """Density of draws (N,) at x (M,): a Gaussian of that width on each, (M,).

    >>> kernel_smoothed(torch.zeros(3), torch.zeros(1), 1.0)
    tensor([0.3989])
    """
    z = (x[:, None] - draws) / width
    return (-0.5 * z.square()).exp().mean(1) / (width * (2 * torch.pi) ** 0.5)


def game_frame(x: Tensor, p: Tensor, q: Tensor, d: Tensor, title: str = "") -> Figure:
    """Densities of data p and of the model q, the critic's D, and p / (p + q), all (N,) at x (N,).

    D has the same axis: its height is a probability.
    """
    best = p / (p + q)
    known = (p + q) > 1e-3  # elsewhere nothing was seen
    fig, (top, low) = plt.subplots(2, 1, figsize=(5.4, 3.9), sharex=True, height_ratios=(1, 1.1))
    top.fill_between(x, p, color=COLORS[0], alpha=0.3, label="data", linewidth=0)
    top.fill_between(x, q, color=COLORS[1], alpha=0.3, label="model", linewidth=0)
    top.plot(x, p, color=COLORS[0])
    top.plot(x, q, color=COLORS[1])
    top.set(ylabel="density", ylim=(0, 1.05), title=title)
    top.legend(loc="upper right")
    low.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
    low.plot(x, d, color=COLORS[2], label="D, learned")
    low.plot(x, torch.where(known, best, torch.nan), "--", color=COLORS[6], label="p / (p + q)")
    low.set(ylabel="D(x)", xlabel="x", ylim=(-0.04, 1.04), xlim=(float(x[0]), float(x[-1])))
    low.legend(loc="lower right")
    return fig


def orbits(paths: Mapping[str, Tensor], reach: float = 2.0) -> Figure:
    """Walks (N, 2) in the plane of two players, one panel for each name; a dot where it starts."""
    size = (2.3 * len(paths), 2.7)
    fig, axes = plt.subplots(1, len(paths), figsize=size, sharey=True, squeeze=False)
    for ax, (name, path), color in zip(axes[0], paths.items(), COLORS, strict=False):
        ax.plot(*path.T, color=color, linewidth=1)
        ax.plot(*path[0], "o", color=color, markersize=5)
        ax.plot(0, 0, "+", color=COLORS[6], markersize=9)
        ax.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        ax.set(xlabel=r"$\theta$")
    axes[0, 0].set(ylabel=r"$\psi$")
    return fig


def among_modes(
    clouds: Mapping[str, Tensor], modes: Tensor, notes: Sequence[str], reach: float = 3.0
) -> Figure:
    """Points (N, 2) of several models beside each other, crosses at the modes (K, 2)."""
    fig, axes = plt.subplots(1, len(clouds), figsize=(2.5 * len(clouds), 2.9), squeeze=False)
    for ax, (name, cloud), note, color in zip(axes[0], clouds.items(), notes, COLORS, strict=False):
        _cloud(ax, cloud, modes, color, reach)
        ax.set_title(name)
        ax.set_xlabel(note)
    return fig


def _cloud(ax: Axes, cloud: Tensor, modes: Tensor, color: str, reach: float) -> None:
    ax.scatter(*cloud.T, s=2, color=color, alpha=0.5, linewidths=0)
    ax.plot(*modes.T, "+", color=COLORS[6], markersize=8, markeredgewidth=1)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
