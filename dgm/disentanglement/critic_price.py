"""FactorVAE: a critic tells codes from codes whose entries were exchanged, and so measures them.

Kim and Mnih (2018), Disentangling by factorising, arXiv:1802.05983, eq. 2-3 and algorithms 1-2.
The density ratio of a classifier: Sugiyama et al. (2012), doi:10.1007/s10463-011-0343-8.
Needs torch only.

Note: codes and exchanged codes come from the same batch, as in the code of Locatello et al. (2019);
the paper takes a second batch. One optimiser moves both players.
"""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus


def exchanged(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Each entry of codes z (B, d) put in an order of its own: draws of the product of marginals.

    >>> z = torch.arange(6.0).view(3, 2)
    >>> exchanged(z).sort(0).values.equal(z)
    True
    """
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)


class CriticPrice(nn.Module):
    """KL + gamma TC, the total correlation TC by the logit of a critic; it learns in the same loss.

    The critic's best logit is log q(z) - sum_j log q(z_j), whose mean over codes is TC.

    Parameters
    ----------
    critic : nn.Module
        Codes z (B, d) to one logit (B,) or (B, 1): above zero means "a code", below "exchanged".
    gamma : float
        Nats that a nat of total correlation costs.

    Notes
    -----
    Own methods: ``logit``, ``critic_loss``.
    """

    def __init__(self, critic: nn.Module, gamma: float = 10.0):
        super().__init__()
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be finite and at least 0, got {gamma!r}")
        self.critic, self.gamma = critic, gamma

    def logit(self, z: Tensor) -> Tensor:
        """Estimate of log q(z) - sum_j log q(z_j) (B,), nats, through a critic that is held."""
        held = {name: p.detach() for name, p in self.critic.named_parameters()}
        return functional_call(self.critic, held, (z,)).reshape(len(z))

    def critic_loss(self, z: Tensor) -> Tensor:
        """Cross-entropy of codes z against exchanged ones (B,), nats; none of it reaches z."""
        z = z.detach()
        real, product = self.critic(torch.cat((z, exchanged(z)))).reshape(2, len(z))
        return 0.5 * (softplus(-real) + softplus(product))

    def forward(self, q: object, z: Tensor) -> Tensor:
        """(B,): what the encoder pays, and what the critic does."""
        return q.kl() + self.gamma * self.logit(z) + self.critic_loss(z)
