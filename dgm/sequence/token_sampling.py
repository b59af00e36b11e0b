"""Which tokens may be drawn: the likeliest, the k likeliest, or the smallest set of mass p.

Top-k: Fan et al. (2018), arXiv:1805.04833, section 5.3. Nucleus: Holtzman et al. (2020),
arXiv:1904.09751, section 3.1. Needs torch only.

Each maps logits (..., V) to logits (..., V), with -inf for what is ruled out: what ``adjust`` of
`Autoregressive.sample` asks for. What is then drawn no longer has the model's law: ``log_prob``
says nothing about it.
"""

import math

import torch
from torch import Tensor


def greedy(logits: Tensor) -> Tensor:
    """All mass on the likeliest token, the limit of temperature 0; of equals, the first.

    >>> greedy(torch.tensor([0.0, 2.0]))
    tensor([-inf, 0.])
    """
    alone = torch.full_like(logits, -math.inf)
    return alone.scatter(-1, logits.argmax(-1, keepdim=True), 0.0)


def keep_top_k(logits: Tensor, top_k: int) -> Tensor:
    """Rule out all but the ``top_k`` likeliest tokens (all stay where there are no more).

    >>> keep_top_k(torch.tensor([0.0, 2.0, 1.0]), 2)
    tensor([-inf, 2., 1.])
    """
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise ValueError(f"top_k must be a whole number of at least 1, got {top_k!r}")
    best = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices
    return torch.full_like(logits, -math.inf).scatter(-1, best, logits.gather(-1, best))


def keep_nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens that hold at least ``top_p`` of the mass together.

    >>> keep_nucleus(torch.tensor([0.2, 0.5, 0.3]).log(), 0.6).exp()
    tensor([0.0000, 0.5000, 0.3000])
    """
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p!r}")
    if top_p == 1:
        return logits
    order = logits.argsort(dim=-1, descending=True, stable=True)
    p = logits.softmax(-1).gather(-1, order)
    before = p.cumsum(-1) - p  # mass of the likelier ones
    out = before >= top_p
    return logits.masked_fill(torch.zeros_like(out).scatter(-1, order, out), -math.inf)
