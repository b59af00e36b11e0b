"""WAIC over an ensemble: the mean of log p over trainings less its variance.

Choi, Jang and Alemi (2018), arXiv:1810.01392, eq. 2. Needs torch only.
"""

from torch import Tensor


def waic(log_p: Tensor) -> Tensor:
    """Mean less variance over K >= 2 models of log p (K, B): (B,).

    Note: nats less squared nats: the score depends on the unit. The variance is the unbiased one.

    Raises
    ------
    ValueError
        log_p is no (K >= 2, B).

    Examples
    --------
    >>> import torch
    >>> waic(torch.tensor([[-3.0, -3.0], [-5.0, -3.0]]))
    tensor([-6., -3.])
    """
    if log_p.ndim != 2 or len(log_p) < 2:
        raise ValueError(f"log_p must be (K >= 2, B), got shape {tuple(log_p.shape)}")
    return log_p.mean(0) - log_p.var(0)
