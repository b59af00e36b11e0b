"""Families as places: seconds to draw from left to right, upwards what the reader chooses."""

import math
from collections.abc import Sequence

from dgm.plot.live.frame import live
from dgm.plot.tree import FAMILY_COLORS

FamilyPlace = tuple[str, str, str, float, Sequence[float | None]]


def family_plane(
    places: Sequence[FamilyPlace], across: str, axes: Sequence[str], title: str = "", alt: str = ""
):
    """Point at a family, or walk with the arrow keys; buttons change the axis that goes up.

    Parameters
    ----------
    places : (name, system, family, seconds, values): the family is a key of `FAMILY_COLORS`,
        seconds are drawn on a logarithmic axis, values are one for each of ``axes``, None where a
        model has none.
    across, axes : what seconds and values are, with their units.
    title : shown above. alt : says what can be seen.

    Raises
    ------
    ValueError : no places, a family without a colour, seconds that are not positive, values that
        are not one finite number or None for each axis, or an axis without any.
    """
    for name, _, family, seconds, values in places:
        if family not in FAMILY_COLORS:
            raise ValueError(f"places: {name!r} is of family {family!r}, none of the map")
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"places: {name!r} has {seconds} seconds, expected more than 0")
        if len(values) != len(axes) or not all(v is None or math.isfinite(v) for v in values):
            raise ValueError(f"places: {name!r} has values {values}, one for each of {axes}")
    if not places or any(all(p[4][k] is None for p in places) for k in range(len(axes))):
        raise ValueError(f"places: an axis of {list(axes)} has no place")
    data = {
        "places": [
            {"name": name, "system": system, "color": FAMILY_COLORS[family],
             "x": float(f"{seconds:.3g}"), "y": [v if v is None else round(v, 3) for v in values]}
            for name, system, family, seconds, values in places
        ],
        "across": across, "axes": list(axes),
    }  # fmt: skip
    return live("families", data, title, alt)
