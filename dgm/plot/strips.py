"""Rows of pictures, a name before each: what several models make of the same thing."""

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.draw import images
from dgm.plot.figure import INK


def strips(
    rows: Mapping[str, Tensor], levels: int | None = None, ax: Axes | None = None, title: str = ""
) -> Figure:
    """One row of images for each name, the name on its left.

    Parameters
    ----------
    rows : name: images (N, C, H, W), as `images` takes them; N, C, H, W the same in every row.
    levels, ax, title : as in `images`.

    Raises
    ------
    ValueError : no rows, or rows of unequal shape.
    """
    shapes = {tuple(x.shape) for x in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows: got shapes {sorted(shapes)}; expected one or more rows, all equal")
    n, _, height, width = shapes.pop()
    fig = images(torch.cat([x.detach().cpu() for x in rows.values()]), levels, n, ax, title=title)
    ax = fig.axes[0] if ax is None else ax
    for k, name in enumerate(rows):
        middle = 1.1 * height * k + height / 2  # `images` leaves a tenth between rows
        ax.text(-0.25 * width, middle, name, ha="right", va="center", fontsize=9.5, color=INK)
    return fig
