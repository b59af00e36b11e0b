"""Three ways to fit a score without the density's normaliser: explicit, sliced, denoising.

Hyvarinen (2005), JMLR 6, theorem 1; Song, Garg, Shi and Ermon (2019), arXiv:1905.07088, eqs. 7-8;
Vincent (2011), doi:10.1162/NECO_a_00142, section 4. Each gives (B,), whose mean is to be lowered;
``score(x)`` maps (B, D) to (B, D). Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def explicit_score_matching(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """tr ds/dx + |s|^2 / 2 at x (B, D): D backward passes. Its mean is 1/2 E|s - s_p|^2 + const.

    The network must be smooth: one of ReLUs has a trace that ignores its kinks.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        s, trace = score(x), 0.0
        for d in range(x.shape[1]):
            (row,) = torch.autograd.grad(s[:, d].sum(), x, create_graph=True)
            trace = trace + row[:, d]
        return trace + 0.5 * s.square().sum(1)


def sliced_score_matching(
    score: Callable[[Tensor], Tensor], x: Tensor, signs: Tensor
) -> Tensor:  # fmt: skip
    """v' (ds/dx) v + |s|^2 / 2 for v = ``signs`` (B, D) of +1 and -1: one backward pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        s = score(x)
        (row,) = torch.autograd.grad((s * signs).sum(), x, create_graph=True)
        return (row * signs).sum(1) + 0.5 * s.square().sum(1)


def denoising_score_matching(
    score: Callable[[Tensor], Tensor], x: Tensor, sigma: float, eps: Tensor
) -> Tensor:
    """|s(x + sigma eps) + eps / sigma|^2 / 2: fits the score of the data *in noise*, no gradient
    of the score."""
    return 0.5 * (score(x + sigma * eps) + eps / sigma).square().sum(1)
