"""How far one law is from another: the alpha-divergences, with both directions of KL as ends.

Amari and Nagaoka (2000), Methods of Information Geometry; Minka (2005), "Divergence measures and
message passing", eq. 4.
Needs torch only.
"""

from torch import Tensor


def alpha_divergence(
    log_p: Tensor, log_q: Tensor, alpha: float = 1.0, cell_volume: float = 1.0
) -> Tensor:
    """D_alpha(p || q) = (1 - sum p^alpha q^(1-alpha)) / (alpha (1-alpha)), a scalar in nats.

    alpha = 1 is the limit KL(p || q), alpha = 0 the limit KL(q || p). Never negative, and zero
    only where p = q.

    Parameters
    ----------
    log_p, log_q : log masses of all states, or log densities on all cells of a grid.
    cell_volume : size of one cell; 1 for masses.

    Raises
    ------
    ValueError : shapes differ, or alpha is outside 0 .. 1.
    """
    if log_p.shape != log_q.shape:
        raise ValueError(f"log_q has shape {tuple(log_q.shape)}, log_p {tuple(log_p.shape)}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0 .. 1, got {alpha}")
    if alpha == 0:
        log_p, log_q = log_q, log_p
    if alpha in (0, 1):
        terms = log_p.exp() * (log_p - log_q)
        return terms.masked_fill(log_p.exp() == 0, 0).sum() * cell_volume  # 0 log 0 = 0
    overlap = (alpha * log_p + (1 - alpha) * log_q).exp().sum() * cell_volume
    return (1 - overlap) / (alpha * (1 - alpha))
