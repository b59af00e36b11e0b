"""Pictures side by side as one array, pixel for pixel: crisp and small frames for a slider."""

import numpy as np
import torch
from torch import Tensor


def sheet(x: Tensor, levels: int, ncols: int, gap: int = 2) -> np.ndarray:
    """A grid of pictures, white between them, for `slider`.

    Parameters
    ----------
    x : (N, 1, H, W) levels, row by row. levels : 0 is black, the last one white.
    ncols : pictures in a row. gap : white pixels after each picture, right and below.

    Returns
    -------
    numpy.ndarray
        (rows * (H + gap) - gap, ncols * (W + gap) - gap) uint8.

    Raises
    ------
    ValueError : no grey pictures, or a count that is not positive.
    """
    if x.ndim != 4 or x.shape[1] != 1 or len(x) == 0:
        raise ValueError(f"x: got shape {tuple(x.shape)}; expected (N, 1, H, W), N > 0")
    if levels < 2 or ncols < 1 or gap < 0:
        raise ValueError(f"expected levels >= 2, ncols >= 1, gap >= 0; got {levels, ncols, gap}")
    rows, (height, width) = -(-len(x) // ncols), x.shape[2:]
    grey = (x[:, 0].cpu() * (255 / (levels - 1))).round().to(torch.uint8).numpy()
    out = np.full((rows * (height + gap) - gap, ncols * (width + gap) - gap), 255, np.uint8)
    for k, picture in enumerate(grey):
        top, left = k // ncols * (height + gap), k % ncols * (width + gap)
        out[top : top + height, left : left + width] = picture
    return out
