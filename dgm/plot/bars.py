"""Scores of several models as bars, each with its error and its figure in words."""

from collections.abc import Mapping

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgm.plot.figure import COLORS


def score_bars(
    means: Mapping[str, object], lines: Mapping[str, float] | None = None, ax: Axes | None = None,
    xlabel: str = "test nats per example (less is better)", title: str = "",
) -> Figure:  # fmt: skip
    """Bars with two standard errors, the name and the figure inside each.

    Parameters
    ----------
    means : name: a score with ``mean`` and ``standard_error``, such as `evaluate.nats` returns.
    lines : name: the score of somebody else, a dashed line.

    Raises
    ------
    ValueError : no scores, or one that is not positive (it would have no bar to write into).
    """
    if not means or min(s.mean for s in means.values()) <= 0:
        raise ValueError(f"means: expected one or more positive scores, got {dict(means)}")
    ax = ax or plt.subplots(figsize=(5.8, 0.5 * len(means) + 0.9))[1]
    longest = max([s.mean for s in means.values()] + list((lines or {}).values()))
    for row, (name, score) in enumerate(means.items()):
        ax.barh(row, score.mean, xerr=2 * score.standard_error, color=COLORS[0])
        ax.text(0.02 * longest, row, f"{name}: {score}", color="white", va="center", fontsize=9.5)
    for k, (name, value) in enumerate((lines or {}).items()):
        color = COLORS[1 + k % (len(COLORS) - 1)]
        ax.axvline(value, color=color, linestyle="--", linewidth=1.5)
        ax.text(value, len(means) - 0.45, f"{name} ", color=color, ha="right", va="top", fontsize=9)
    ax.set(xlabel=xlabel, title=title, yticks=[], ylim=(len(means) - 0.1 * (not lines), -0.6))
    return ax.figure
