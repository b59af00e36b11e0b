"""An atlas: models as places of two scores, their families to show and hide, each to be asked."""

import math
from collections.abc import Mapping, Sequence

from dgm.plot.live.frame import live

Place = tuple[str, float, float]  # its name, and the two scores


def atlas(
    families: Mapping[str, Sequence[Place]], names: tuple[str, str], lines: Mapping[str, float],
    title: str = "", alt: str = "",
):  # fmt: skip
    """Point at a place, or walk with the arrow keys, to read which model it is.

    Parameters
    ----------
    families : name -> places (name, x, y); those of one family are joined in their order.
    names : what the two scores are, with their units.
    lines : name -> y of a model that has no x: a level line.
    title : shown above. alt : says what can be seen.

    Raises
    ------
    ValueError : no places, a score that is not finite, or two families of one name.
    """
    scores = [score for places in families.values() for place in places for score in place[1:]]
    if not scores or not all(math.isfinite(score) for score in (*scores, *lines.values())):
        raise ValueError(f"families: expected places with finite scores, got {dict(families)}")
    if set(families) & set(lines):
        raise ValueError(f"lines: {sorted(set(families) & set(lines))} are families too")
    data = {
        "families": [
            {"name": name, "places": [[n, round(x, 4), round(y, 3)] for n, x, y in places]}
            for name, places in families.items()
        ],
        "lines": [{"name": name, "y": round(y, 3)} for name, y in lines.items()],
        "names": list(names),
    }  # fmt: skip
    return live("atlas", data, title, alt)
