"""Maps of codes as pictures: every code has a colour, and codes with near vectors near colours."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from dgm.plot.figure import COLORS


def code_colours(vectors: Tensor) -> Tensor:
    """A colour (K, 3) in 0..1 for each vector (K, d): its place along three principal directions.

    Raises
    ------
    ValueError : vectors are not (K, d) with K >= 2.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"vectors: got shape {tuple(vectors.shape)}; expected (K, d), K >= 2")
    centred = vectors.detach().double() - vectors.double().mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False)[2][:3]  # (up to 3, d)
    place = (centred @ axes.T).argsort(0).argsort(0) / (len(vectors) - 1)  # ranks, 0 .. 1
    missing = torch.full((len(vectors), 3 - len(axes)), 0.5)
    return 0.1 + 0.8 * torch.cat((place, missing), 1).float()


def code_pictures(codes: Tensor, vectors: Tensor, side: int = 4) -> Tensor:
    """Maps of codes (N, 1, h, w) as pictures (N, 3, h side, w side), uint8.

    Raises
    ------
    ValueError : codes are no such maps.
    """
    if codes.ndim != 4 or codes.shape[1] != 1 or codes.is_floating_point():
        raise ValueError(f"codes: got {codes.dtype} {tuple(codes.shape)}; expected (N, 1, h, w)")
    rgb = code_colours(vectors)[codes[:, 0].long()].movedim(-1, 1)
    big = rgb.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return (255 * big).round().to(torch.uint8)


def cells(points: Tensor, vectors: Tensor, ax: Axes, reach: float, title: str = "") -> None:
    """Points of the plane (N, 2), codebook vectors (K, 2), and the borders of their cells."""
    line = torch.linspace(-reach, reach, 160)
    grid = torch.cartesian_prod(line, line)
    owner = torch.cdist(grid, vectors.float()).argmin(1).view(160, 160).T
    shade = torch.tensor([(k * 7) % 10 / 10 for k in range(len(vectors))])[owner]
    extent = (-reach, reach, -reach, reach)
    ax.imshow(shade, origin="lower", extent=extent, cmap="Pastel1", alpha=0.55)
    ax.scatter(*points.T, s=3, color=COLORS[0], alpha=0.6, linewidths=0)
    ax.scatter(*vectors.T, s=42, color=COLORS[1], edgecolors="k", linewidths=0.7, zorder=3)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], title=title)


def stacked_shares(
    names: Sequence[str], parts: dict[str, Sequence[float]], ax: Axes, unit: str = "nats"
) -> None:
    """Bars made of parts laid end to end, one for each name, the total written at its end.

    Raises
    ------
    ValueError : a part has not one number for each name.
    """
    if any(len(values) != len(names) for values in parts.values()):
        raise ValueError(f"parts: expected {len(names)} numbers each")
    left = [0.0] * len(names)
    for k, (part, values) in enumerate(parts.items()):
        ax.barh(range(len(names)), values, left=left, color=COLORS[k], label=part, height=0.62)
        left = [so_far + value for so_far, value in zip(left, values, strict=True)]
    for k, total in enumerate(left):
        ax.text(total, k, f" {total:.1f}" if total > 10 else f" {total:.3f}", va="center")
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=unit)
    ax.set_xlim(0, 1.16 * max(left))
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(parts))
