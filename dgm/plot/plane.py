"""A latent plane the reader can walk in: a map of codes, and what the decoder draws at each place.

Self-contained HTML: the pictures of all places are one small image, cut out by the page itself. No
server, no request; by pointer on the map or by keyboard on two native ranges. Without scripts the
whole image stays as a still picture.
"""

import base64
import hashlib
import io
import itertools
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

PLANE = Path(__file__).with_name("plane.html")
LABEL_COLORS = (  # of middle lightness: three to one against a white and against a dark page
    "#c9504a", "#b8660f", "#8f7a00", "#4f8a2a", "#0d8f6f",
    "#0a86a8", "#3f7fd6", "#7d70d8", "#b05bbd", "#7b7f86",
)  # fmt: skip


def _atlas(images: object) -> tuple[np.ndarray, str]:
    """Pictures (ny, nx, h, w) as one image, the last row of places on top, and its data address."""
    grid = np.asarray(images)
    if grid.ndim != 4 or 0 in grid.shape or min(grid.shape[:2]) < 2:
        raise ValueError(f"images must be (ny, nx, h, w), ny and nx above 1; got {grid.shape}")
    if grid.dtype != np.uint8:
        if not (np.isfinite(grid).all() and grid.min() >= 0 and grid.max() <= 1):
            raise ValueError("images must be uint8, or lie in 0..1 and be finite")
        grid = (grid * 255).round().astype(np.uint8)
    ny, nx, height, width = grid.shape
    sheet = grid[::-1].transpose(0, 2, 1, 3).reshape(ny * height, nx * width)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "WEBP", lossless=True, method=6)
    return grid, "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _map(points: object, labels: object, xs: Sequence[float], ys: Sequence[float]) -> str:
    """The map as SVG in a box of 100 by 100: axes, a label at the place of each point, a ring."""
    ends = [(values[0], values[-1]) for values in (xs, ys)]
    parts = []
    for k in range(round(min(ends[0][0], ends[1][0])), round(max(ends[0][1], ends[1][1])) + 1):
        u, v = (100 * (k - low) / (high - low) for low, high in ends)
        if 4 < u < 96:
            parts.append(f'<path class="dgm-axis" d="M{u:.1f} 0V100"/>')
            parts.append(
                f'<text class="dgm-tick" x="{u:.1f}" y="97">{k}</text>'.replace(">-", ">−")
            )
        if 4 < v < 96:
            parts.append(f'<path class="dgm-axis" d="M0 {100 - v:.1f}H100"/>')
            tick = f'<text class="dgm-tick" x="3" y="{100 - v:.1f}">{k}</text>'
            parts.append(tick.replace(">-", ">−"))
    for point, label in zip(points, labels, strict=True):
        u, v = (100 * (float(p) - a) / (b - a) for p, (a, b) in zip(point, ends, strict=True))
        color = LABEL_COLORS[int(label) % len(LABEL_COLORS)]
        parts.append(f'<text fill="{color}" x="{u:.1f}" y="{100 - v:.1f}">{int(label)}</text>')
    ring = '<circle class="dgm-cross" cx="50" cy="50" r="4"/>'
    return f'<svg viewBox="0 0 100 100" aria-hidden="true">{"".join(parts)}{ring}</svg>'


def _increasing(name: str, values: Sequence[float], n: int) -> list[float]:
    found = [round(float(v), 4) for v in values]
    if len(found) != n or any(b <= a for a, b in itertools.pairwise(found)):
        raise ValueError(f"{name} must be {n} increasing numbers, one for each place; got {found}")
    return found


def plane(
    images: object, xs: Sequence[float], ys: Sequence[float], points: object = (),
    labels: object = (), names: tuple[str, str] = ("z1", "z2"), title: str = "", alt: str = "",
):  # fmt: skip
    """A plane to walk in: on the left a map, on the right the picture at the place pointed at.

    Parameters
    ----------
    images : (ny, nx, h, w), uint8 or 0..1; ``images[j, i]`` belongs to (xs[i], ys[j]).
    xs, ys : the places, increasing and evenly spaced.
    points, labels : (n, 2) codes and n whole numbers written at them on the map.
    names : of the two axes. title : shown above, names the group. alt : says what can be seen.

    Raises
    ------
    ValueError : images of another shape or range, places that do not match them, points without
        labels, or nothing to read aloud.
    """
    from IPython.display import HTML

    grid, address = _atlas(images)
    ny, nx, height, width = grid.shape
    xs, ys = _increasing("xs", xs, nx), _increasing("ys", ys, ny)
    points, labels = np.asarray(points, float).reshape(-1, 2), np.asarray(labels).reshape(-1)
    if len(points) != len(labels):
        raise ValueError(f"labels: got {len(labels)} for {len(points)} points; expected one each")
    if not (title.strip() or alt.strip()):
        raise ValueError("alt: empty; say in words what the picture shows")
    # what the script of the page reads, and where it goes in the template
    data = [names, xs, ys, width, height, (nx // 2, ny // 2)]
    text = json.dumps(data).replace("<", "\\u003c")
    drawn = _map(points, labels, xs, ys)
    key = hashlib.sha256(f"{address}{text}{drawn}{title}{alt}".encode()).hexdigest()[:10]
    fields = {
        "KEY": key, "DATA": text, "TITLE": escape(title), "NAME": escape(title or alt),
        "ALT": escape(alt or title), "SRC": address, "MAP": drawn,
    }  # fmt: skip
    return HTML(re.sub(r"\{\{(\w+)\}\}", lambda m: fields[m[1]], PLANE.read_text("utf-8")))
