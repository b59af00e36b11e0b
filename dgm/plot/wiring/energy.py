"""Chapter 17: who is joined with whom in the machines with an energy."""

import math
from itertools import combinations, product

from dgm.plot.schematic import Diagram, Schematic, panels
from dgm.plot.shapes import Box


def machines() -> Schematic:
    """Four panels: Boltzmann machine, RBM, deep belief network, deep Boltzmann machine."""
    return panels(_boltzmann(), _restricted(), _belief_net(), _deep())


def _boltzmann() -> Diagram:
    d = Diagram("Boltzmann machine", "Five units on a ring, every two joined by a line.", True)
    at = [(75 + 48 * math.sin(0.4 * k * math.pi), 105 - 48 * math.cos(0.4 * k * math.pi))
          for k in range(5)]  # fmt: skip
    units = [d.dot("data" if k % 2 else "latent", *place) for k, place in enumerate(at)]
    for a, b in combinations(units, 2):
        d.arrow(a, b, head=False)
    d.note("visible or hidden,\nevery two are joined", 75, 172)
    return d


def _row(d: Diagram, kind: str, y: float, name: str, n: int = 4) -> list[Box]:
    """One layer of units and its name."""
    d.note(name, 134, y, "start")
    return [d.dot(kind, 15 + 17 * (4 - n) + 34 * k, y) for k in range(n)]


def _between(d: Diagram, above: list[Box], below: list[Box], head: bool = False) -> None:
    for a, b in product(above, below):
        d.arrow(a, b, head=head)


def _restricted() -> Diagram:
    says = "Hidden units above, visible ones below: lines between the sides only."
    d = Diagram("Restricted", says, True)
    _between(d, _row(d, "latent", 60, "$h$", 3), _row(d, "data", 140, "$v$"))
    return d


def _belief_net() -> Diagram:
    says = "An undirected pair of layers on top; from the lower of the two arrows go to the data."
    d = Diagram("Deep belief network", says, True)
    top, middle = _row(d, "latent", 45, "$g$"), _row(d, "latent", 105, "$h$", 3)
    _between(d, top, middle)
    _between(d, middle, _row(d, "data", 170, "$v$"), head=True)
    return d


def _deep() -> Diagram:
    says = "Three layers, neighbours joined by lines without a direction."
    d = Diagram("Deep Boltzmann machine", says, True)
    top, middle = _row(d, "latent", 45, "$g$"), _row(d, "latent", 105, "$h$", 3)
    _between(d, top, middle)
    _between(d, middle, _row(d, "data", 170, "$v$"))
    return d
