"""The book's figure style: colours, direct labels, and crisp small PNGs.

Figures are opaque and light, so they read on a light page and as a card on a dark one. Colours are
those of Okabe and Ito (2008) made darker, so that a line's label in its colour has the contrast of
text (4.5), and are told apart under every common colour blindness.
"""

import io
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib import cycler
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

COLORS = ["#0069AD", "#C84E00", "#008560", "#8E3B8A", "#986800", "#3B94CC", "#4D4D4D"]
INK, MUTED, GRID = "#262626", "#5F6368", "#E4E6E8"
DENSITY = LinearSegmentedColormap.from_list(
    "dgm-density", ["#FFFFFF", "#CFE3F2", "#7DB6DB", "#2F7FBD", "#0B4A86", "#06284F"]
)


def style() -> None:
    """Set the book's figure style; in a notebook also draw crisp PNGs at twice the resolution."""
    mpl.rcParams.update({
        "figure.figsize": (5.6, 3.3), "figure.dpi": 100, "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.w_pad": 0.1, "figure.constrained_layout.h_pad": 0.1,
        "figure.max_open_warning": 60,
        "figure.titlesize": 12, "figure.titleweight": "bold",
        "savefig.facecolor": "white", "savefig.pad_inches": 0.02,
        "font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK,
        "axes.titlesize": 11.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.titlepad": 8, "axes.labelsize": 10.5, "axes.labelcolor": INK,
        "axes.edgecolor": "#9AA0A6", "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.8,
        "axes.prop_cycle": cycler(color=COLORS), "axes.formatter.useoffset": False,
        "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 9.5, "ytick.labelsize": 9.5,
        "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
        "lines.linewidth": 2, "lines.markersize": 5, "lines.solid_capstyle": "round",
        "patch.edgecolor": "white", "hist.bins": 30, "image.cmap": "gray",
        "image.interpolation": "nearest", "legend.frameon": False, "legend.fontsize": 9.5,
    })  # fmt: skip
    _notebook_png()


def _notebook_png() -> None:
    """Let a running notebook draw figures through `page.png`: crisp, and small by a palette."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None and hasattr(shell, "display_formatter"):
        plt.switch_backend(mpl.get_backend())  # load the inline backend now: it resets formatters
        shell.display_formatter.formatters["image/png"].for_type(Figure, _display)


def _display(fig: Figure) -> tuple[bytes, dict] | None:
    """PNG at two pixels per CSS pixel, with its width in CSS pixels."""
    if not fig.axes:
        return None
    image = pixels(fig, tight=True)
    return png(image), {"width": image.width // 2}


def label(ax: Axes, lines: Iterable[Line2D] | None = None, gap: float = 13.0) -> None:
    """Write each line's label at its right end in its colour, at least ``gap`` points apart."""
    kept = [line for line in (lines or ax.get_lines()) if not line.get_label().startswith("_")]
    kept = sorted((k for k in kept if len(k.get_ydata())), key=lambda k: k.get_ydata()[-1])
    ends = [ax.transData.transform((0, float(k.get_ydata()[-1])))[1] for k in kept]
    ends = [end * 72 / ax.figure.dpi for end in ends]  # points
    for line, end, place in zip(kept, ends, _spread(ends, gap), strict=True):
        ax.annotate(
            line.get_label(), (1, line.get_ydata()[-1]), (6, place - end),
            xycoords=("axes fraction", "data"), textcoords="offset points",
            color=line.get_color(), va="center", fontsize=9.5, annotation_clip=False,
        )  # fmt: skip


def _spread(places: list[float], gap: float) -> list[float]:
    """Move sorted places as little as needed to be ``gap`` apart: touching ones share a centre."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _column(groups[-1], gap)[0] < _column(groups[-2], gap)[-1] + gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in _column(group, gap)]


def _column(group: list[float], gap: float) -> list[float]:
    """As many places as in the group, ``gap`` apart, around its mean."""
    first = sum(group) / len(group) - gap * (len(group) - 1) / 2
    return [first + gap * k for k in range(len(group))]


def pixels(fig: Figure, scale: float = 2.0, tight: bool = False) -> Image.Image:
    """Draw a figure at ``scale`` pixels per CSS pixel: an opaque RGB image."""
    buffer = io.BytesIO()
    fig.savefig(
        buffer, format="png", dpi=fig.dpi * scale, bbox_inches="tight" if tight else None,
        facecolor=fig.get_facecolor(),
    )  # fmt: skip
    return Image.open(buffer).convert("RGB")


def png(image: Image.Image, tolerance: float = 1.0) -> bytes:
    """PNG bytes, with a palette of 256 colours where that changes no pixel's level noticeably.

    ``tolerance`` bounds the mean absolute change, in levels of 0..255.
    """
    small = image.quantize(256, dither=Image.Dither.NONE)
    change = np.asarray(small.convert("RGB"), np.int16) - np.asarray(image, np.int16)
    buffer = io.BytesIO()
    (small if np.abs(change).mean() <= tolerance else image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
