"""Inverse autoregressive flow: a posterior layer that samples in one pass, all coordinates at once.

Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling (2016), arXiv:1606.04934,
section 3 and algorithm 1. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class InverseAutoregressive(nn.Module):
    """z'_i = s_i z_i + (1 - s_i) m_i with a gate s in (0, 1); m_i and s_i see z_1 .. z_(i-1) only.

    So dz'/dz is triangular and log det = sum_i log s_i. Afterwards the coordinates are
    reversed, so that the next equal layer lets the others speak. `inverse` has to undo the
    coordinates one by one: that is the price, and the posterior of a VAE never needs it.

    Parameters
    ----------
    net : nn.Module
        (z (B, d), context (B, C)) -> (B, d, 2), row i a function of z_1 .. z_(i-1) and the context:
        m and the gate before its sigmoid.
    open_gate : float
        Added before the sigmoid; the layer starts near the identity.

    Examples
    --------
    >>> first = nn.Module()  # an autoregressive net of no inputs at all
    >>> first.forward = lambda z, context: z.new_zeros(len(z), 2, 2)
    >>> InverseAutoregressive(first, open_gate=0.0)(torch.tensor([[4.0, 2.0]]), None)[0]
    tensor([[1., 2.]])
    """

    def __init__(self, net: nn.Module, open_gate: float = 1.5):
        super().__init__()
        self.net, self.open_gate = net, open_gate

    def _mean_and_gate(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, gate = self.net(z, context).unbind(2)  # each (B, d)
        return mean, gate + self.open_gate

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, d), context (B, C) -> z' (B, d) and log|det dz'/dz| (B,), nats, exact."""
        mean, gate = self._mean_and_gate(z, context)
        s = torch.sigmoid(gate)
        return (s * z + (1 - s) * mean).flip(1), logsigmoid(gate).sum(1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo `forward`, one coordinate after the other: d passes through the network."""
        z = z.flip(1)
        found = torch.zeros_like(z)
        for i in range(z.shape[1]):
            mean, gate = self._mean_and_gate(found, context)
            s = torch.sigmoid(gate[:, i])
            value = (z[:, i] - (1 - s) * mean[:, i]) / s
            found = torch.cat((found[:, :i], value[:, None], found[:, i + 1 :]), dim=1)
        return found
