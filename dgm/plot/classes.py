"""Points of several classes in the plane, each island of a class with the number of the class."""

from collections.abc import Iterator

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from dgm.plot.plane import LABEL_COLORS


def class_map(
    points: object, labels: object, ax: Axes | None = None, title: str = "", reach: float = 0.15,
    fewest: int = 5,
) -> Figure:  # fmt: skip
    """A dot for each point in the colour of its class, and a number on every island of a class.

    Parameters
    ----------
    points, labels : (N, 2) places and (N,) whole numbers; ten colours, those of `plane`.
    reach : how far from its number a dot may lie, as a share of the longer side of the map.
    fewest : a number is written for so many dots or more; for the first island of a class always.

    Raises
    ------
    ValueError : points that are not (N, 2), not finite, or without one label each.
    """
    points, labels = np.asarray(points, float), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"points: got shape {points.shape}; expected (N, 2), N > 0")
    if labels.shape != points.shape[:1] or not np.isfinite(points).all():
        raise ValueError(f"expected finite points, one label each; got labels {labels.shape}")
    ax = ax or plt.subplots(figsize=(4.6, 4.2))[1]
    colors = [LABEL_COLORS[int(k) % len(LABEL_COLORS)] for k in labels]
    ax.scatter(*points.T, s=12, c=colors, alpha=0.75, linewidth=0)
    # the number of the class on every island of its points
    near = reach * np.ptp(points, axis=0).max()
    rim = [withStroke(linewidth=3.5, foreground="white")]
    for k in np.unique(labels):
        for place in _islands(points[labels == k], near, fewest):
            ax.text(*place, str(k), fontsize=14, weight="bold", ha="center", va="center",
                    color=LABEL_COLORS[int(k) % len(LABEL_COLORS)], path_effects=rim)  # fmt: skip
    ax.set(xticks=[], yticks=[], aspect="equal", title=title)
    return ax.figure


def _islands(own: np.ndarray, near: float, fewest: int) -> Iterator[np.ndarray]:
    """Places among the points (n, 2) of one class that have all of them near, but for strays."""
    distance = np.linalg.norm(own[:, None] - own, axis=2)  # (n, n)
    left = np.ones(len(own), bool)
    while left.any():
        middle = np.clip(near - distance, 0, None)[:, left].sum(1).argmax()  # densest around it
        covered = (distance[middle] <= near) & left
        if covered.sum() < fewest and not left.all():
            return
        yield own[middle]
        left &= ~covered
