"""The other penalty on a code: a classifier that looks for the group, and a gradient turned round.

Ganin et al. (2016), arXiv:1505.07818, eqs. 13-15; on codes for fairness: Edwards and Storkey
(2016), arXiv:1511.05897. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class _TurnedRound(torch.autograd.Function):
    """The identity, whose gradient changes its sign."""

    @staticmethod
    def forward(ctx: object, z: Tensor) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def backward(ctx: object, slope: Tensor) -> Tensor:
        return -slope


class GroupAdversary(nn.Module):
    """Cross-entropy of guessing the group: its network goes down, the code goes up; ().

    One minimiser serves both, as the gradient is turned round between network and code.

    Parameters
    ----------
    net : nn.Module
        Codes z (B, D) to logits (B, K) of the group.

    Examples
    --------
    >>> z = torch.ones(2, 1, requires_grad=True)
    >>> guess = GroupAdversary(nn.Linear(1, 2))
    >>> guess(z, torch.tensor([0, 0])).backward()
    >>> right = guess.net.weight[0] - guess.net.weight[1]  # the way to be found out
    >>> bool((z.grad * right < 0).all())  # a step downhill along -grad would go there ...
    False
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, z: Tensor, s: Tensor) -> Tensor:
        """Codes z (B, D) of groups s (B,) -> (), nats."""
        return cross_entropy(self.net(_TurnedRound.apply(z)), s)

    @torch.no_grad()
    def accuracy(self, z: Tensor, s: Tensor) -> float:
        """How often it guesses right, as it is now."""
        return (self.net(z).argmax(1) == s).double().mean().item()
