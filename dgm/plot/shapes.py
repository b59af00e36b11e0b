"""What schematics are made of, as pieces of SVG: shapes, cells, text with indices, arrows.

Colours are middle tones that read on white and on black; text and lines take the page's own.
"""

import dataclasses
import re
from collections.abc import Sequence
from html import escape

SIZE, SMALL = 15, 13  # of the text of nodes, and of notes

KINDS = {  # kind: (colour, its word in the legend)
    "data": ("#2f81d0", "data"),
    "latent": ("#c9741c", "latent"),
    "network": ("#8d6fd1", "network, learned"),
    "probability": ("#12996b", "probability"),
    "noise": ("#858b94", "noise"),
    "step": ("currentColor", "fixed step"),
    "blind": ("#c4485f", "not seen"),
}

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle around (x, y), in units of the panel, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str = ""
    text: str = ""

    def span(self, axis: int) -> Point:
        """Where it begins and ends, along x (0) or y (1)."""
        middle, length = (self.x, self.width) if axis == 0 else (self.y, self.height)
        return middle - length / 2, middle + length / 2


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a line of text is, in the units of its size; on the safe side."""
    total = 0.0
    for run, _, level in _runs(text):
        scale = max(12, 0.8 * size) if level else size
        narrow = len(re.findall(r"[ijltfrI .,:;|'!()\[\]]", run))
        wide = len(re.findall(r"[mwMW@→←…—%]", run))
        capital = len(re.findall(r"[A-HJ-LN-VX-Z]", run))
        total += scale * (0.58 * len(run) - 0.22 * narrow + 0.3 * wide + 0.13 * capital)
    return total * (1.07 if bold else 1)


def _runs(text: str) -> list[tuple[str, bool, int]]:
    """Pieces of one line: (characters, slanted?, 1 above the line, -1 below it, 0 on it)."""
    runs = []
    for k, part in enumerate(text.removeprefix("**").split("$")):
        if k % 2 == 0:
            runs += [(part, False, 0)] * bool(part)
            continue
        for mark, group, one in re.findall(r"([_^]?)(?:\{([^}]*)\}|(.))", part):
            level = {"_": -1, "^": 1, "": 0}[mark]
            for word in re.findall(r"[A-Za-zα-ω]+|[^A-Za-zα-ω]+", group or one):
                runs.append((word, len(word) == 1 and word.isalpha(), level))
    return runs


def text_lines(text: str, x: float, y: float, size: float, anchor: str) -> str:
    """Lines of text around the height y."""
    lines, step = text.removeprefix("**").split("\n"), 19 if size == SIZE else 17
    bold = ' font-weight="600"' if text.startswith("**") else ""
    out = []
    for k, line in enumerate(lines):
        base = y + 0.35 * size + step * (k - (len(lines) - 1) / 2)
        out.append(
            f'<text x="{x:.1f}" y="{base:.1f}" font-size="{size}" text-anchor="{anchor}"{bold}>'
            f"{_spans(line, size)}</text>"
        )
    return "".join(out)


def _spans(line: str, size: float) -> str:
    out, height = "", 0.0
    for run, slanted, level in _runs(line):
        move, height = -level * 0.28 * size - height, -level * 0.28 * size
        small = f' font-size="{max(12, 0.8 * size):g}"' if level else ""
        style = ' font-style="italic"' if slanted else ""
        shift = f' dy="{move:.1f}"' if move else ""
        out += f"<tspan{shift}{small}{style}>{escape(run)}</tspan>"
    return out


def shortest_link(a: Box | Point, b: Box | Point) -> tuple[Point, Point]:
    """Ends of the shortest upright or level line between boxes, else of the line of centres."""
    a, b = (stop if isinstance(stop, Box) else Box(*stop, 0, 0) for stop in (a, b))
    for axis in (0, 1):
        low = max(a.span(axis)[0], b.span(axis)[0])
        high = min(a.span(axis)[1], b.span(axis)[1])
        if low <= high:
            place, other = (low + high) / 2, 1 - axis
            ahead = sum(a.span(other)) < sum(b.span(other))
            ends = a.span(other)[ahead], b.span(other)[not ahead]
            return tuple((place, end) if axis == 0 else (end, place) for end in ends)
    return _border(a, b), _border(b, a)


def _border(box: Box, towards: Box) -> Point:
    """Where the line from the centre of the box to another centre leaves it."""
    dx, dy = towards.x - box.x, towards.y - box.y
    share = min(box.width / 2 / max(abs(dx), 1e-9), box.height / 2 / max(abs(dy), 1e-9))
    return box.x + share * dx, box.y + share * dy


def length(segment: tuple[Point, Point]) -> float:
    """Distance between the ends of a segment."""
    (ax, ay), (bx, by) = segment
    return ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5


# --- shapes ---------------------------------------------------------------------------------------


def shape(box: Box) -> str:
    """The outline of a node, in the shape of its kind."""
    color, (x, right), (y, bottom) = KINDS[box.kind][0], box.span(0), box.span(1)
    w, h = box.width, box.height
    tint = f' fill="{color}" fill-opacity=".16" stroke="{color}" stroke-width="1.8"'
    if box.kind == "noise":  # pointed ends
        a = min(10, w / 3)
        return _polygon([(x, box.y), (x + a, y), (right - a, y), (right, box.y),
                         (right - a, bottom), (x + a, bottom)], tint)  # fmt: skip
    if box.kind == "probability":  # cut corners, dashed
        a = 7
        return _polygon([(x, y + a), (x + a, y), (right - a, y), (right, y + a),
                         (right, bottom - a), (right - a, bottom), (x + a, bottom),
                         (x, bottom - a)], tint + ' stroke-dasharray="5 3"')  # fmt: skip
    if box.kind == "step":  # the page's own ink, no tint
        return outline(x, y, w, h, w / 2 if w == h else 3, "")
    round_ = {"data": 0, "latent": h / 2, "network": 8, "blind": 0}[box.kind]
    drawn = f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{round_:g}"{tint}/>'
    if box.kind == "network":  # a bar along the left side
        bar = min(6, h / 4)
        drawn += (
            f'<path d="M{x + 5:g} {y + bar:g}V{bottom - bar:g}" stroke="{color}" '
            'stroke-width="3.5"/>'
        )
    return drawn


def cell(kind: str, x: float, y: float, side: float) -> str:
    """One square of a grid, its corner at (x, y)."""
    drawn = (
        f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" fill="none" '
        'stroke="currentColor" stroke-opacity=".35"/>'
    )
    if not kind:
        return drawn
    color, a, b = KINDS[kind][0], side * 0.12, side * 0.76
    at = f'x="{x + a:g}" y="{y + a:g}" width="{b:g}" height="{b:g}"'
    if kind == "blind":  # a cross
        p, q = side * 0.25, side * 0.75
        return drawn + (
            f'<path d="M{x + p:g} {y + p:g}L{x + q:g} {y + q:g}M{x + q:g} {y + p:g}'
            f'L{x + p:g} {y + q:g}" stroke="{color}" stroke-width="2.2"/>'
        )
    if kind == "probability":  # a dashed ring of its own
        return drawn + (
            f'<rect {at} rx="3" fill="{color}" fill-opacity=".16" stroke="{color}" '
            'stroke-width="2" stroke-dasharray="4 2"/>'
        )
    round_ = {"latent": b / 2, "network": b / 4}.get(kind, 0)
    return drawn + f'<rect {at} rx="{round_:g}" fill="{color}" fill-opacity=".6"/>'


def dot(box: Box) -> str:
    """A small square for data, else a small disc; a faint ring where the kind is empty."""
    color, r = KINDS.get(box.kind, ("currentColor",))[0], box.width / 2
    style = f'fill="{color}"' if box.kind else 'fill="none" stroke="currentColor" opacity=".45"'
    if box.kind == "data":
        left, top = box.x - r + 0.5, box.y - r + 0.5
        return (
            f'<rect x="{left:g}" y="{top:g}" width="{2 * r - 1:g}" height="{2 * r - 1:g}" {style}/>'
        )
    return f'<circle cx="{box.x:g}" cy="{box.y:g}" r="{r - 0.5:g}" {style}/>'


def outline(x: float, y: float, width: float, height: float, round_: float, more: str) -> str:
    """An empty rectangle in the ink of the page."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_:g}" '
        f'fill="none" stroke="currentColor" stroke-width="1.3"{more}/>'
    )


def arrow(route: Sequence[Point], dashed: bool = False, head: bool = True) -> str:
    """A line through the corners of the route, with a head at its end."""
    (ax, ay), (bx, by) = route[-2:]
    size = max(length(((ax, ay), (bx, by))), 1e-9)
    ux, uy = (bx - ax) / size, (by - ay) / size
    ends = [*route[:-1], (bx - 6 * ux, by - 6 * uy) if head else (bx, by)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in ends)
    drawn = (
        f'<path d="M{path}" fill="none" stroke="currentColor" stroke-width="1.4" '
        f'stroke-opacity=".8" stroke-linejoin="round"'
        + (' stroke-dasharray="2 4" stroke-linecap="round"/>' if dashed else "/>")
    )
    wings = [(bx - 8 * ux + s * 4 * uy, by - 8 * uy - s * 4 * ux) for s in (1, -1)]
    return drawn + (_polygon([(bx, by), *wings], ' fill-opacity=".9"') if head else "")


def legend_key(kind: str, form: str, word: str) -> str:
    """A small picture of the kind, as a node, a cell or a dot, and its word."""
    width = 30 if form == "node" else 20
    if form == "node":
        picture = shape(Box(15, 9, 26, 15, kind))
    else:
        picture = dot(Box(10, 9, 11, 11, kind)) if form == "dot" else cell(kind, 2, 1, 16)
    return (
        '<span style="display:inline-flex;align-items:center;gap:.35rem">'
        f'<svg xmlns="http://www.w3.org/2000/svg" aria-hidden="true" width="{width}" height="18" '
        f'style="flex:none" fill="currentColor" viewBox="0 0 {width} 18">{picture}</svg>'
        f"{escape(word)}</span>"
    )


def _polygon(corners: Sequence[Point], style: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}"{style}/>'
