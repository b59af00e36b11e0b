"""Where a wide figure may be parted into panels, which a phone shows below each other."""

from itertools import pairwise

import numpy as np

WIDE = 560  # CSS pixels: a wider figure cannot be read when it is shrunk to a phone
PANEL = 450  # CSS pixels that a panel may have
GUTTER = 7  # CSS pixels of white between two panels
SCALE = 2  # pixels of a picture per CSS pixel


def white_columns(picture: np.ndarray) -> np.ndarray:
    """Where a picture (H, W, 3), levels 0..255, is white from top to bottom: (W,) booleans."""
    return (picture >= 250).all(axis=(0, 2))


def cuts(white: np.ndarray) -> list[int]:
    """Where to part a picture into the fewest panels that fit a phone.

    Parameters
    ----------
    white : (W,) booleans, `white_columns`.

    Returns
    -------
    list[int]
        Columns, from 0 to W; empty where the picture is narrow or has no gutter near a fair cut.
    """
    width = len(white)
    if width < WIDE * SCALE:
        return []
    n, places = -(-width // (PANEL * SCALE)), [0]
    for k in range(1, n):
        low, high = int(width * (k - 0.3) / n), int(width * (k + 0.3) / n)
        edges = np.flatnonzero(np.diff(np.r_[0, white[low:high].astype(int), 0]))
        starts, ends = edges[::2], edges[1::2]
        if not len(starts) or (ends - starts).max() < GUTTER * SCALE:
            return []
        widest = (ends - starts).argmax()
        places.append(low + int(starts[widest] + ends[widest]) // 2)
    return [*places, width]


def styles(places: list[int], height: int) -> list[str]:
    """One CSS style a panel: its ratio, and where in the picture its window stands."""
    width = places[-1] if places else 0
    return [
        f"--ratio:{(right - left) / height:.4f};--at:{100 * left / (width - right + left):.2f}%"
        for left, right in pairwise(places)
    ]
