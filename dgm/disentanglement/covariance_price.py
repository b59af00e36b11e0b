"""DIP-VAE: the covariance of the codes is drawn to the identity, of means (I) or of samples (II).

Kumar, Sattigeri and Balakrishnan (2018), Variational inference of disentangled latent concepts from
unlabeled observations, arXiv:1711.00848, eqs. 4-7. Needs torch only.
"""

import math

from torch import Tensor, nn


def code_covariance(mean: Tensor, log_var: Tensor | None = None) -> Tensor:
    """Covariance (d, d) of means (B, d) over the batch; with ``log_var`` that of samples.

    Cov[z] = Cov[E(z|x)] + E[Var(z|x)].
    """
    away = mean - mean.mean(0)
    found = away.T @ away / len(mean)
    return found if log_var is None else found + log_var.exp().mean(0).diag()


class CovariancePrice(nn.Module):
    """KL + off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2.

    Parameters
    ----------
    off_diagonal, diagonal : float
        Weights, lambda_od and lambda_d.
    sampled : bool
        C is the covariance of samples of q(z) (DIP-VAE II), else that of means (DIP-VAE I).
    """

    def __init__(self, off_diagonal: float = 10.0, diagonal: float = 10.0, sampled: bool = False):
        super().__init__()
        for name, value in (("off_diagonal", off_diagonal), ("diagonal", diagonal)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")
        self.off_diagonal, self.diagonal, self.sampled = off_diagonal, diagonal, sampled

    def forward(self, q: object, z: Tensor) -> Tensor:
        """(B,): the KL of every example, and what the batch pays together."""
        c = code_covariance(q.mean, q.log_var if self.sampled else None)
        own = c.diagonal()
        off = c.square().sum() - own.square().sum()
        return q.kl() + self.off_diagonal * off + self.diagonal * (own - 1).square().sum()
