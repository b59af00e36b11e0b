"""A flow of the line to take in one's hand: base density, increasing map, and the density it makes.

The map is the rational-quadratic spline of Durkan et al. (2019), arXiv:1906.04032, eqs. 4-5, whose
slope at a knot is the harmonic mean of those on its sides; straight lines go on outside.
"""

import itertools
from collections.abc import Mapping, Sequence

from dgm.plot.live.frame import live

Knots = Sequence[tuple[float, float]]
PRESETS: dict[str, Knots] = {
    "Two peaks": [(-2.2, -2), (-1.2, -0.3), (0, 0), (1.2, 0.3), (2.2, 2)],
    "Identity": [(-2, -2), (-1, -1), (0, 0), (1, 1), (2, 2)],
    "Wider": [(-3, -1.5), (-1.5, -0.75), (0, 0), (1.5, 0.75), (3, 1.5)],
    "Leaning": [(-1.2, -2), (-0.9, -1), (-0.3, 0), (0.9, 1), (2.8, 2)],
}


def flow_1d(
    presets: Mapping[str, Knots] = PRESETS, title: str = "Drag a flow of the line"
):  # fmt: skip
    """Drag the knots of a map z = f(x) and see p(x) = N(f(x)) f'(x), its log-det and its area.

    Parameters
    ----------
    presets : name -> knots (x, z) in (-4, 4), both increasing; as many in each, the first is shown.

    Raises
    ------
    ValueError : knots that are no increasing map.
    """
    if len({len(knots) for knots in presets.values()}) != 1:
        raise ValueError("presets: expected at least one, all with as many knots")
    for name, knots in presets.items():
        rises = all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(knots))
        if len(knots) < 2 or not rises or not all(-4 < v < 4 for knot in knots for v in knot):
            raise ValueError(f"presets: {name!r} is no increasing map within -4..4: {knots}")
    data = {"presets": [{"name": n, "knots": [list(k) for k in v]} for n, v in presets.items()]}
    alt = "A map of the line with dots to drag, and the density it makes of a normal one"
    return live("line", data, title, alt)
