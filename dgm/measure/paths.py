"""Walks between two codes, scored: does what is decoded on the way look like data?

Straight lines leave the shell where Gaussian codes lie: White (2016), arXiv:1609.04468, section
2.1. A judge that was trained apart looks at every picture of the way. Needs torch only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dgm.measure.slerp import slerp


def straight(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes (steps, B, D) on the straight lines from a (B, D) to b, both ends among them."""
    t = _shares(a, b, steps)
    return a + t * (b - a)


def arc(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Codes (steps, B, D) on the arcs from a (B, D) to b, both ends among them."""
    return torch.stack([slerp(a, b, t) for t in _shares(a, b, steps).flatten().tolist()])


def _shares(a: Tensor, b: Tensor, steps: int) -> Tensor:
    if a.shape != b.shape or a.ndim != 2 or steps < 3:
        raise ValueError(
            f"a and b must be (B, D) both and steps at least 3, "
            f"got {tuple(a.shape)}, {tuple(b.shape)}, {steps}"
        )
    return torch.linspace(0, 1, steps, dtype=a.dtype).view(-1, 1, 1)


@torch.no_grad()
def judged(
    path: Tensor, decode: Callable[[Tensor], Tensor], judge: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    """Scores of the inner codes of a path (steps, B, D), means over steps and pairs.

    ``confidence``: the judge's largest class probability; ``kept``: the share of pictures that it
    calls by the class of one of the two ends, as it sees them decoded; ``length``: |z| / sqrt(D).
    ``judge(x)`` gives logits (N, K).
    """
    steps, n, dims = path.shape
    logits = judge(decode(path.flatten(0, 1))).view(steps, n, -1)
    seen = logits.argmax(2)
    ends = torch.stack((seen[0], seen[-1]))  # (2, B)
    kept = (seen[1:-1, None] == ends).any(1).double().mean()
    sure = logits[1:-1].softmax(2).amax(2).mean()
    length = path[1:-1].norm(dim=2).mean() / dims**0.5
    return {"confidence": sure.item(), "kept": kept.item(), "length": length.item()}
