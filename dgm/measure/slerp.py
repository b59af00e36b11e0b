"""Interpolation along a great circle: between two Gaussian codes through codes as typical as they.

White (2016), Sampling Generative Networks, arXiv:1609.04468, section 2.1. Needs torch only.
"""

import torch
from torch import Tensor


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Points at the shares ``t`` of the arc from a to b.

    a and b (..., D), not zero nor opposite; t a number, or (T,) for codes of shape (D,), which
    gives (T, D). The length goes from that of a to that of b.

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    tensor([0.7071, 0.7071])
    """
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    t = t.unsqueeze(-1)  # (T, 1) or (1,)
    cosine = torch.cosine_similarity(a, b, dim=-1).unsqueeze(-1)
    if (cosine < -1 + 1e-6).any():
        raise ValueError("a and b are opposite: no arc between them is the shortest")
    angle = torch.arccos(cosine.clamp(-1, 1)).clamp_min(1e-4)  # equal codes: a straight line
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
