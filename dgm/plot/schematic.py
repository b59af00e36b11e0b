"""Schematics: who sees whom, in one visual language of boxes and arrows, as inline SVG.

A kind of thing has a colour and a shape of its own, so that colour alone carries nothing. Text and
arrows take the colour of the page, fills are tints of middle tones: light and dark pages read the
same. A panel is at most 340 units wide and never scaled up: its text fits a phone, and panels that
stand side by side on a desktop stack there.
"""

import hashlib
import itertools
from collections.abc import Sequence
from html import escape

from dgm.plot import shapes
from dgm.plot.shapes import KINDS, SIZE, SMALL, Box, Point, text_width

WIDTH = 340  # the most a panel may take


class Diagram:
    """One panel: nodes, grids and notes placed by their centres, y downwards, and arrows.

    Parameters
    ----------
    title : str
        What the panel is, for a reader who does not see it; drawn above it if ``heading``.
    says : str
        The same reader's picture: what leads where, in a sentence or two.
    heading : bool
        Draw the title.
    legend : dict, optional
        Words of this panel for kinds, in place of those of `KINDS`; an empty word leaves one out.

    Text may hold mathematics between dollars, ``"$z_{<t}$"``: letters slanted, ``_`` and ``^`` for
    indices; a line break is a new line.

    Examples
    --------
    >>> panel = Diagram("An encoder", "Data lead through a network to a code.")
    >>> x, net = panel.node("data", "$x$", 30, 30), panel.node("network", "encoder", 130, 30)
    >>> _ = panel.arrow(x, net)
    >>> panels(panel)
    <Schematic: An encoder>
    """

    def __init__(
        self, title: str, says: str, heading: bool = False, legend: dict[str, str] | None = None
    ):
        if not (title.strip() and says.strip()):
            raise ValueError("title and says: empty; say in words what the schematic shows")
        self.title, self.says, self.legend = title, says, dict(legend or {})
        self.boxes: list[Box] = []  # all that may not overlap
        self.routes: list[list[Point]] = []  # the corners of every arrow
        self.used: set[tuple[str, str]] = set()  # kinds, as a node, a cell or a dot
        self._parts: list[str] = []
        if heading:
            self.note(f"**{title}", 0, 12, "start")

    def node(
        self, kind: str, text: str, x: float, y: float, width: float = 0, height: float = 0
    ) -> Box:
        """A thing with the shape of its kind; as large as its text unless told."""
        if kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}; allowed are {', '.join(KINDS)}")
        lines = text.split("\n")
        width = width or max(30, max(text_width(line, SIZE) for line in lines) + 20)
        box = Box(x, y, width, height or 12 + 19 * len(lines), kind, text)
        self.boxes.append(box)
        self.used.add((kind, "node"))
        self._parts += [shapes.shape(box), shapes.text_lines(text, x, y, SIZE, "middle")]
        return box

    def note(self, text: str, x: float, y: float, anchor: str = "middle") -> Box:
        """Text without a box, ``anchor`` start, middle or end; two leading stars make it bold."""
        lines = text.removeprefix("**").split("\n")
        width = max(text_width(line, SMALL, bold=text.startswith("**")) for line in lines)
        left = {"start": 0, "middle": -width / 2, "end": -width}[anchor]
        box = Box(x + left + width / 2, y, width, 17 * len(lines), "", text)
        self.boxes.append(box)
        self._parts.append(shapes.text_lines(text, x, y, SMALL, anchor))
        return box

    def grid(
        self, cells: Sequence[Sequence[str]], x: float, y: float, side: float = 20, texts=None
    ) -> Box:
        """Squares in rows: a kind for each, or "" for an empty one, and a text for each or None."""
        rows, columns = len(cells), len(cells[0])
        box = Box(x, y, columns * side, rows * side, "", "grid")
        self.boxes.append(box)
        for (i, row), j in itertools.product(enumerate(cells), range(columns)):
            left, top = box.span(0)[0] + j * side, box.span(1)[0] + i * side
            self._parts.append(shapes.cell(row[j], left, top, side))
            if row[j]:
                self.used.add((row[j], "cell"))
            if texts is not None:
                at = left + side / 2, top + side / 2
                self._parts.append(shapes.text_lines(str(texts[i][j]), *at, SMALL, "middle"))
        return box

    def dot(self, kind: str, x: float, y: float) -> Box:
        """A small thing without text, of which there are many; "" for one that plays no part."""
        box = Box(x, y, 11, 11, kind, "dot")
        self.boxes.append(box)
        self.used |= {(kind, "dot")} if kind else set()
        self._parts.append(shapes.dot(box))
        return box

    def arrow(
        self,
        a: Box | Point,
        b: Box | Point,
        label: str = "",
        via: Sequence[Point] = (),
        dashed: bool = False,
        head: bool = True,
        beside: float = 0,
    ) -> None:
        """From a to b through the points ``via``: upright or level where the two face each other.

        The label stands above a level arrow and to the right of others, or ``beside`` units off
        (to the left or below if negative).
        """
        stops = [a, *via, b]
        first, last = (
            shapes.shortest_link(stops[0], stops[1])[0],
            shapes.shortest_link(stops[-2], stops[-1])[1],
        )
        route = [first, *via, last]
        self.routes.append(route)
        self._parts.append(shapes.arrow(route, dashed, head))
        if label:
            (ax, ay), (bx, by) = max(itertools.pairwise(route), key=shapes.length)
            x, y = (ax + bx) / 2, (ay + by) / 2
            if abs(ay - by) < 1:
                self.note(label, x, y - (beside or 11))
            else:
                off = beside or 7
                self.note(label, x + off, y, "start" if off > 0 else "end")

    def column(
        self,
        x: float,
        parts: Sequence[tuple],
        labels: Sequence[str] = (),
        top: float = 45,
        step: float = 0,
    ) -> list[Box]:
        """Nodes one below the other at x, and an arrow from each to the next; gives the nodes.

        ``parts`` are (kind, text), ``step`` apart from ``top`` on, or (kind, text, y) and as much
        of what `node` takes after it as wanted; ``labels`` are those of the arrows.
        """
        nodes = []
        for k, (kind, text, *rest) in enumerate(parts):
            y, *size = rest or (top + step * k,)
            nodes.append(self.node(kind, text, x, y, *size))
        for (a, b), label in itertools.zip_longest(itertools.pairwise(nodes), labels, fillvalue=""):
            self.arrow(a, b, label)
        return nodes

    def frame(self, boxes: Sequence[Box], label: str = "", pad: float = 10) -> Box:
        """A thin line around boxes, its label above on the left: parts of one thing."""
        (x0, x1), (y0, y1) = (
            (min(b.span(k)[0] for b in boxes) - pad, max(b.span(k)[1] for b in boxes) + pad)
            for k in (0, 1)
        )
        self._parts.insert(0, shapes.outline(x0, y0, x1 - x0, y1 - y0, 10, ' stroke-opacity=".4"'))
        if label:
            self.note(label, x0 + 2, y0 - 10, "start")
        return Box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)

    def extent(self) -> Point:
        """Width and height that hold all there is."""
        corners = [(b.span(0)[1], b.span(1)[1]) for b in self.boxes]
        corners += [corner for route in self.routes for corner in route]
        return max(x for x, _ in corners) + 12, max(y for _, y in corners) + 12

    def svg(self) -> str:
        """The panel; its ids are hashes of the content, so running it again changes nothing.

        Raises
        ------
        ValueError : it is wider than a phone.
        """
        body, (width, height) = "".join(self._parts), self.extent()
        top = min(box.span(1)[0] for box in self.boxes) - 10
        if width > WIDTH:
            raise ValueError(f"{self.title!r} is {width:.0f} units wide; at most {WIDTH}")
        key = hashlib.sha256(f"{self.title}{self.says}{body}".encode()).hexdigest()[:10]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t{key} d{key}" '
            f'viewBox="-2 {top:g} {width + 4:g} {height - top:g}" fill="currentColor" '
            f'style="flex:0 1 {width + 4:g}px;min-width:0;width:100%;max-width:{width + 4:g}px;'
            f'height:auto;font-family:inherit;overflow:visible">'
            f'<title id="t{key}">{escape(self.title)}</title>'
            f'<desc id="d{key}">{escape(self.says)}</desc>{body}</svg>'
        )


class Schematic:
    """Panels with one legend, shown by a notebook as HTML; ``diagrams`` are its panels."""

    def __init__(self, diagrams: Sequence[Diagram]):
        self.diagrams = tuple(diagrams)

    def __repr__(self) -> str:
        return f"<Schematic: {'; '.join(panel.title for panel in self.diagrams)}>"

    def _repr_html_(self) -> str:
        words = {}  # those of a panel's own legend go before those of KINDS
        for panel in self.diagrams:
            for kind, form in sorted(panel.used):
                if kind in panel.legend or (kind, form) not in words:
                    words[kind, form] = panel.legend.get(kind, KINDS[kind][1])
        shown = sorted(words.items(), key=lambda item: (list(KINDS).index(item[0][0]), item[0][1]))
        keys = "".join(shapes.legend_key(*key, word) for key, word in shown if word)
        row = "display:flex;flex-wrap:wrap;align-items:flex-start;color:inherit;gap:"
        return (
            f'<div class="dgm-wiring" style="max-width:46rem;margin:.8rem 0">'
            f'<div style="{row}1.2rem 2rem">{"".join(p.svg() for p in self.diagrams)}</div>'
            f'<div style="{row}.1rem 1.1rem;font-size:13px;margin-top:.5rem">{keys}</div></div>'
        )


def panels(*diagrams: Diagram) -> Schematic:
    """Panels side by side, or one below the other where the page is narrow, and the legend."""
    return Schematic(diagrams)
