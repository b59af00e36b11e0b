"""beta-TCVAE: the total correlation of all codes from those of one batch, without a critic.

Chen et al. (2018), Isolating sources of disentanglement, arXiv:1802.04942, eq. 2-4; the weights are
those of its appendix C.2 (stratified), which leave no constant behind. Needs torch only.
"""

import math

from torch import Tensor, nn


def log_aggregate(
    z: Tensor, mean: Tensor, log_var: Tensor, n_examples: int
) -> tuple[Tensor, Tensor]:
    """log q(z) (B,) and log q(z_j) (B, d), nats, q(z) the mean of q(z|x) over ``n_examples`` x.

    z_i was drawn from N(mean_i, exp(log_var_i)). Its own term counts 1 / N, the rest of the batch
    stands for the other N - 1: mean densities are those of q, without bias.

    Raises
    ------
    ValueError
        Shapes differ, or there are fewer examples than in the batch.
    """
    # shapes
    if not (z.ndim == 2 and z.shape == mean.shape == log_var.shape):
        shapes = [tuple(t.shape) for t in (z, mean, log_var)]
        raise ValueError(f"z, mean and log_var must be (B, d) alike, got {shapes}")
    n = len(z)
    if n_examples < n:
        raise ValueError(f"n_examples must be at least the batch of {n}, got {n_examples}")
    # every z under every posterior
    eps = (z[:, None] - mean) * (-0.5 * log_var).exp()  # (B, B, d): z_i under q(z | x_k)
    log_q = -0.5 * (eps.square() + log_var + math.log(2 * math.pi))
    # what each posterior counts
    others = (n_examples - 1) / (n_examples * max(n - 1, 1)) if n > 1 else 1.0
    weight = z.new_full((n, n), math.log(others))
    weight.fill_diagonal_(-math.log(n_examples) if n > 1 else 0.0)
    joint = (log_q.sum(2) + weight).logsumexp(1)
    return joint, (log_q + weight[:, :, None]).logsumexp(1)


def minibatch_total_correlation(
    z: Tensor, mean: Tensor, log_var: Tensor, n_examples: int
) -> Tensor:
    """log q(z) - sum_j log q(z_j) at every z, (B,) nats: its mean estimates TC.

    >>> z = torch.randn(50, 1)
    >>> minibatch_total_correlation(z, z, 0 * z, 50).abs().max().item()  # one entry: nothing shared
    0.0
    """
    joint, single = log_aggregate(z, mean, log_var, n_examples)
    return joint - single.sum(1)


class MinibatchPrice(nn.Module):
    """KL + (beta - 1) TC: beta-TCVAE with weight 1 on the two other parts of the KL.

    Parameters
    ----------
    beta : float
        Weight of the total correlation in all; 1 is the VAE.
    n_examples : int
        Training examples N.
    """

    def __init__(self, beta: float = 6.0, n_examples: int = 5000):
        super().__init__()
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be finite and at least 0, got {beta!r}")
        if isinstance(n_examples, bool) or not hasattr(n_examples, "__index__") or n_examples < 1:
            raise ValueError(f"n_examples must be a whole number of at least 1, got {n_examples!r}")
        self.beta, self.n_examples = beta, n_examples

    def forward(self, q: object, z: Tensor) -> Tensor:
        """(B,)."""
        n = max(self.n_examples, len(z))
        tc = minibatch_total_correlation(z, q.mean, q.log_var, n)
        return q.kl() + (self.beta - 1) * tc
