"""Angles between two subspaces: do two linear codes span the same directions?

Bjorck & Golub (1973), doi:10.1090/S0025-5718-1973-0348991-3, algorithm 1 and section 3. Needs torch
only.
"""

import torch
from torch import Tensor


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the column spaces of a (D, p) and b (D, q): (min(p, q),) radians, ascending.

    All zero when one space contains the other. Small angles come from their sines, which rounding
    spares: the arc cosine of nearly 1 would lose half of the digits.

    Raises
    ------
    ValueError
        a or b is no matrix, or they live in different spaces.

    Examples
    --------
    >>> axis, diagonal = torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [1.0]])
    >>> principal_angles(axis, diagonal)  # pi / 4
    tensor([0.7854])
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in (*a.shape, *b.shape):
        raise ValueError(f"a and b are (D, p) and (D, q), got {tuple(a.shape)}, {tuple(b.shape)}")
    a, b = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    cosines = torch.linalg.svdvals(a.mT @ b).clamp(max=1)  # descending: smallest angle first
    sines = torch.linalg.svdvals(b - a @ (a.mT @ b)).clamp(max=1).flip(0)  # ascending
    return torch.where(cosines > 0.7, sines.asin(), cosines.acos())
