"""The few pictures every chapter draws."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.figure import COLORS, DENSITY, label


def images(
    x: Tensor, levels: int | None = None, ncols: int | None = None, ax: Axes | None = None,
    titles: Sequence[str] | None = None, cmap: str = "gray", title: str = "",
) -> Figure:  # fmt: skip
    """A grid of images.

    Parameters
    ----------
    x : (N, C, H, W) with C = 1 or 3. With ``levels`` values are 0..levels-1; without it integers
        are 0..255 and floats 0..1. Values outside are clipped.
    ncols : images in a row (default: 10, or all if fewer). titles : N short texts above them.

    Raises
    ------
    ValueError : wrong shape, NaN, or not one title per image.
    """
    pixel = _pixels01(x, levels)
    n, height, width = pixel.shape[:3]
    if titles is not None and len(titles) != n:
        raise ValueError(f"titles: got {len(titles)} for {n} images; expected one each")
    ncols = min(n, 10) if ncols is None else ncols
    if ncols < 1:
        raise ValueError(f"ncols: got {ncols}; expected at least 1")
    # one tile with its gap and, over it, room for a title
    nrows, gap, head = (
        -(-n // ncols),
        0.1 * width,
        0.1 * height if titles is None else 0.42 * height,
    )
    size = min(5.6, max(0.62, 0.62 if titles is None else 0.9) * ncols)
    shape = size, size * nrows * (height + head) / (ncols * (width + gap)) + 0.3 * bool(title)
    ax = ax or plt.subplots(figsize=shape)[1]
    # every tile in one axes: many axes are slow
    for k in range(n):
        left, top = (k % ncols) * (width + gap), (k // ncols) * (height + head)
        ax.imshow(pixel[k], extent=(left, left + width, top + height, top),
                  cmap=cmap, vmin=0, vmax=1)  # fmt: skip
        if titles is not None:
            ax.text(left + width / 2, top - 0.06 * height, titles[k], ha="center", fontsize=9)
    ax.set(xlim=(-gap / 2, ncols * (width + gap) - gap / 2), title=title)
    ax.set(ylim=(nrows * (height + head) - head / 2, -head))
    ax.set_axis_off()
    return ax.figure


def _pixels01(x: Tensor, levels: int | None) -> np.ndarray:
    """Check images; return them as (N, H, W) or (N, H, W, 3) in 0..1."""
    x = torch.as_tensor(x).detach().cpu()
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.numel() == 0:
        raise ValueError(f"x: got shape {tuple(x.shape)}; expected (N, 1 or 3, H, W), N > 0")
    if levels is not None and levels < 2:
        raise ValueError(f"levels: got {levels}; expected at least 2")
    top = levels - 1 if levels is not None else 1 if x.is_floating_point() else 255
    x = x.double() / top
    if x.isnan().any():
        raise ValueError("x: holds NaN; expected finite pixel values")
    x = x.clamp(0, 1)
    return (x[:, 0] if x.shape[1] == 1 else x.movedim(1, -1)).numpy()


def curve(
    fit: object, baselines: Mapping[str, float] | None = None, ax: Axes | None = None,
    ylabel: str = "nats per example", title: str = "",
) -> Figure:  # fmt: skip
    """A training curve: training and validation loss, with ``baselines`` as labelled lines.

    ``fit`` is a `train.Fit` (train_steps, train_loss, val_steps, val_loss, best_step). The first
    tenth of the steps may leave the picture at the top, so that the end can be read.
    """
    ax = ax or plt.subplots()[1]
    steps, loss = np.asarray(fit.train_steps), np.asarray(fit.train_loss, float)
    if len(steps) == 0 or len(steps) != len(loss):
        raise ValueError(f"fit: got {len(steps)} training steps and {len(loss)} losses")
    ax.plot(steps, loss, color=COLORS[0], alpha=0.45, linewidth=1.2, label="training")
    # the heights that must stay in the picture
    late, heights = loss[steps >= 0.1 * steps[-1]], []
    if len(fit.val_steps):
        ax.plot(fit.val_steps, fit.val_loss, color=COLORS[0], label="validation")
        best = int(np.nanargmin(fit.val_loss))
        ax.plot(fit.val_steps[best], fit.val_loss[best], "o", color=COLORS[0])
        heights += [
            v for s, v in zip(fit.val_steps, fit.val_loss, strict=True) if s >= steps[-1] / 10
        ]
    for k, (name, value) in enumerate((baselines or {}).items()):
        color = COLORS[1 + k % (len(COLORS) - 1)]
        ax.plot([0, steps[-1]], [value, value], "--", color=color, linewidth=1.5, label=name)
        heights.append(value)
    low, high = np.nanmin([*late, *heights]), np.nanmax([np.nanpercentile(late, 99), *heights])
    room = 0.06 * (high - low) or 1.0
    ax.set(xlim=(0, steps[-1]), ylim=(low - room, high + room))
    ax.set(xlabel="step", ylabel=ylabel, title=title)
    label(ax)
    return ax.figure


def _box(bounds: float | Sequence[float]) -> tuple[float, ...]:
    """(x0, x1, y0, y1) from itself or from half a side."""
    four = tuple(bounds) if isinstance(bounds, Sequence) else (-bounds, bounds) * 2
    if len(four) != 4 or not (four[0] < four[1] and four[2] < four[3]):
        raise ValueError(f"bounds: got {bounds}; expected (x0, x1, y0, y1) with x0 < x1, y0 < y1")
    return four


def density(
    log_prob: Callable[[Tensor], Tensor], bounds: float | Sequence[float] = 3.0,
    ax: Axes | None = None, points: Tensor | None = None, n: int = 160, title: str = "",
    vmax: float | None = None,
) -> Figure:  # fmt: skip
    """Heat map of ``exp(log_prob)`` on an n by n grid, white where there is no mass.

    ``log_prob`` maps (n * n, 2) to (n * n,) nats; ``points`` (N, 2) are drawn on top.

    Raises
    ------
    ValueError : wrong shape or NaN from ``log_prob``, or bad bounds.
    """
    x0, x1, y0, y1 = _box(bounds)
    x, y = torch.linspace(x0, x1, n), torch.linspace(y0, y1, n)
    grid = torch.cartesian_prod(y, x).flip(1)  # (n * n, 2), x moves fastest
    with torch.no_grad():
        value = torch.as_tensor(log_prob(grid)).cpu()
    if value.shape != (n * n,) or value.isnan().any():
        raise ValueError(
            f"log_prob: got shape {tuple(value.shape)}, {int(value.isnan().sum())} of them NaN; "
            f"expected ({n * n},) without NaN"
        )
    ax = ax or plt.subplots(figsize=(4, 3.9))[1]
    ax.imshow(value.double().exp().reshape(n, n).numpy(), extent=(x0, x1, y0, y1), origin="lower",
              cmap=DENSITY, vmin=0, vmax=vmax, interpolation="bilinear")  # fmt: skip
    ax.grid(False)
    if points is not None:
        scatter(points, ax=ax, color=COLORS[1])
    ax.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal", title=title)
    return ax.figure


def scatter(
    x: Tensor, y: Tensor | None = None, bounds: float | Sequence[float] | None = None,
    ax: Axes | None = None, color: str = COLORS[0], title: str = "",
) -> Figure:  # fmt: skip
    """Points in the plane, x (N, 2), coloured by integer class y (N,) where given."""
    x = torch.as_tensor(x).detach().cpu()
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x: got shape {tuple(x.shape)}; expected (N, 2)")
    if y is not None and len(y) != len(x):
        raise ValueError(f"y: got {len(y)} classes for {len(x)} points")
    ax = ax or plt.subplots(figsize=(4, 3.9))[1]
    paint = color if y is None else [COLORS[int(k) % len(COLORS)] for k in y]
    ax.scatter(*x.T, s=max(3, min(16, 4000 / max(1, len(x)))), c=paint, alpha=0.6, linewidth=0)
    ax.set(aspect="equal", title=title)
    if bounds is not None:
        x0, x1, y0, y1 = _box(bounds)
        ax.set(xlim=(x0, x1), ylim=(y0, y1))
    return ax.figure


def warp(
    function: Callable, bounds: float | Sequence[float] = 3.0, ax: Axes | None = None,
    lines: int = 15, title: str = "", color: str = COLORS[0],
) -> Figure:  # fmt: skip
    """Where a map of the plane sends a straight grid: (N, 2) to (N, 2), or to a tuple with it."""
    x0, x1, y0, y1 = _box(bounds)
    x, y = torch.linspace(x0, x1, lines), torch.linspace(y0, y1, lines)
    fine_x, fine_y = torch.linspace(x0, x1, 200), torch.linspace(y0, y1, 200)
    ax = ax or plt.subplots(figsize=(4, 3.9))[1]
    across = torch.cartesian_prod(y, fine_x).flip(1).reshape(lines, 200, 2)
    along = torch.cartesian_prod(x, fine_y).reshape(lines, 200, 2)
    for group, tint in ((across, color), (along, COLORS[1])):
        with torch.no_grad():
            out = function(group.reshape(-1, 2))
        out = (out[0] if isinstance(out, tuple) else out).reshape(lines, 200, 2).cpu()
        for line in out:
            ax.plot(*line.T, color=tint, linewidth=0.9, alpha=0.8)
    ax.set(aspect="equal", title=title)
    return ax.figure
