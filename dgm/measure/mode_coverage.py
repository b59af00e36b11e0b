"""How many modes of a known mixture a sample visits, and how much of it lies near one.

Srivastava et al. (2017), arXiv:1705.07761, section 4.1 (the ring of eight Gaussians). Needs torch
only.
"""

import torch
from torch import Tensor


def mode_coverage(
    x: Tensor, modes: Tensor, std: float, within: float = 3.0, least: float = 0.01
) -> tuple[int, float]:
    """Modes visited and the share of good points, of a sample x (N, D) and modes (K, D).

    A point is good within ``within`` times ``std`` of a mode; a mode is visited if at least the
    share ``least`` of all points is good and nearest to it.

    Raises
    ------
    ValueError : x is empty or of other dimension than the modes, or std not positive.

    Examples
    --------
    >>> mode_coverage(torch.tensor([[0.0], [0.1], [5.0]]), torch.tensor([[0.0], [9.0]]), std=0.2)
    (1, 0.6666666666666666)
    """
    if x.ndim != 2 or len(x) == 0 or x.shape[1:] != modes.shape[1:]:
        got = f"{tuple(x.shape)} and {tuple(modes.shape)}"
        raise ValueError(f"x must be (N >= 1, D) and modes (K, D), got {got}")
    if not std > 0:
        raise ValueError(f"std must be positive, got {std!r}")
    distance, nearest = torch.cdist(x, modes).min(1)
    good = distance <= within * std
    visits = torch.bincount(nearest[good], minlength=len(modes)) / len(x)
    return int((visits >= least).sum()), good.double().mean().item()
