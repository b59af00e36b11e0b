"""Planar flow: push the code along one direction, as far as its place along another one says.

Rezende and Mohamed (2015), arXiv:1505.05770, eqs. 10-12 and appendix A.1. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def invertible_direction(u: Tensor, w: Tensor) -> Tensor:
    """The u nearest in the direction of w with u^T w > -1, (B, dim): the map is then one to one.

    u + (m(w^T u) - w^T u) w / |w|^2 with m(a) = softplus(a) - 1, appendix A.1. Near w = 0 the
    direction does not matter, and |w|^2 is kept away from zero.
    """
    along = (u * w).sum(1, keepdim=True)  # (B, 1)
    length = w.square().sum(1, keepdim=True).clamp_min(1e-8)
    return u + (softplus(along) - 1 - along) * w / length


class Planar(nn.Module):
    """z -> z + u tanh(w^T z + b); log det = log(1 + (1 - tanh^2) w^T u), a bottleneck of one unit.

    Parameters
    ----------
    net : nn.Module
        Maps the context (B, C) to (B, 2 dim + 1): u, w and b. u is moved so that w^T u > -1.
    dim : int
        Size of z.

    Raises
    ------
    ValueError
        dim below 1.

    Examples
    --------
    >>> z, log_det = Planar(nn.Linear(3, 5), 2)(torch.ones(4, 2), torch.randn(4, 3))
    >>> log_det.shape
    torch.Size([4])
    """

    def __init__(self, net: nn.Module, dim: int):
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.net, self.dim = net, dim

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, dim), context (B, C) -> z' (B, dim) and log|det dz'/dz| (B,), nats, exact."""
        u, w, b = self.net(context).split((self.dim, self.dim, 1), dim=1)
        u = invertible_direction(u, w)
        a = torch.tanh((w * z).sum(1, keepdim=True) + b)  # (B, 1)
        slope = (1 - a.square()) * (w * u).sum(1, keepdim=True)  # above -1
        return z + u * a, torch.log1p(slope)[:, 0]
