"""The best critic of two known densities, and what the game is worth under it.

Goodfellow et al. (2014), arXiv:1406.2661, proposition 1 and theorem 1. Densities are tables on a
grid whose cells have equal size. Needs torch only.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def best_logit(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Logit of D* = p / (p + q) where data have density p and the model q: log p - log q."""
    return log_p - log_q


def game_value(logit: Tensor, log_p: Tensor, log_q: Tensor, cell: float) -> float:
    """E_p log D + E_q log(1 - D) on a grid, nats; at most `best_game_value`.

    Raises
    ------
    ValueError : tables of different shapes, or cells of no size.
    """
    if not logit.shape == log_p.shape == log_q.shape:
        shapes = [tuple(t.shape) for t in (logit, log_p, log_q)]
        raise ValueError(f"logit, log_p and log_q must have one shape, got {shapes}")
    if not 0 < cell < math.inf:
        raise ValueError(f"cell must be positive and finite, got {cell!r}")
    real = (log_p.double().exp() * logsigmoid(logit.double())).sum()
    fake = (log_q.double().exp() * logsigmoid(-logit.double())).sum()
    return ((real + fake) * cell).item()


def jensen_shannon(log_p: Tensor, log_q: Tensor, cell: float) -> float:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, nats: 0 to log 2."""
    log_p, log_q = log_p.double(), log_q.double()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    terms = [(t.exp() * (t - log_m)).nan_to_num(0.0).sum() for t in (log_p, log_q)]
    return (0.5 * sum(terms) * cell).item()


def best_game_value(log_p: Tensor, log_q: Tensor, cell: float) -> float:
    """The value of the game under the best critic: -log 4 + 2 JSD.

    >>> x = torch.linspace(-12, 13, 5001).double()
    >>> log_p, log_q = (torch.distributions.Normal(m, 1.0).log_prob(x) for m in (0.0, 1.0))
    >>> round(best_game_value(log_p, log_q, 0.005), 6)
    -1.163451
    """
    return -math.log(4) + 2 * jensen_shannon(log_p, log_q, cell)
