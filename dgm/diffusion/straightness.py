"""How straight the ways of a flow are: the distance between their ends over their length.

Liu, Gong and Liu (2023), arXiv:2209.03003, section 2.2, measure it by the velocity; this is the
same question asked of the path. Needs torch only.
"""

import torch
from torch import Tensor


def straightness(path: Tensor) -> Tensor:
    """path (S + 1, B, D) of places in the order of time -> (B,), at most 1; 1 is a straight line.

    Raises
    ------
    ValueError
        path has fewer than two places.

    Examples
    --------
    >>> corner = torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 4.0]]])
    >>> round(straightness(corner).item(), 4)  # 5 / 7
    0.7143
    """
    if path.dim() != 3 or len(path) < 2:
        raise ValueError(f"path must be (S + 1 >= 2, B, D), got {tuple(path.shape)}")
    length = (path[1:] - path[:-1]).norm(dim=-1).sum(0)
    return (path[-1] - path[0]).norm(dim=-1) / length.clamp_min(torch.finfo(path.dtype).tiny)
