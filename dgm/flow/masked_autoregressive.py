"""Masked autoregressive flow: every feature passes through a map chosen by those before it.

Papamakarios, Pavlakou and Murray (2017), arXiv:1705.07057, eqs. 2-5 (there with an affine map).
Needs torch only.
"""

import torch
from torch import Tensor, nn


class MaskedAutoregressive(nn.Module):
    """z_t = g(x_t; net(x_1 .. x_(t-1))) for all t at once; back, one t after the other.

    The Jacobian is triangular, so log det = sum_t log dz_t/dx_t. Let the next layer see the
    features in reversed order (`Permute` of elementwise.py).

    Parameters
    ----------
    net : nn.Module
        (B, D) -> (B, D, transform.size), row t a function of the features before t only.
    transform : nn.Module
        Elementwise and increasing: ``transform(x, numbers) -> (y, log_slope)``,
        ``inverse(y, numbers)``, and ``size`` numbers for each entry (spline.py).

    Examples
    --------
    >>> from dgm.flow.spline import ScaleAndShift
    >>> from dgm.nets.masked_mlp import MaskedMLP
    >>> layer = MaskedAutoregressive(MaskedMLP(3, 2, width=8), ScaleAndShift())
    >>> x = torch.randn(5, 3)
    >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-6)
    True
    """

    def __init__(self, net: nn.Module, transform: nn.Module):
        super().__init__()
        self.net, self.transform = net, transform

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> z (B, D) and log|det dz/dx| (B,), nats: one pass of the network."""
        z, log_slope = self.transform(x, self.net(x))
        return z, log_slope.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, D), D passes of the network."""
        x = torch.zeros_like(z)
        for t in range(z.shape[1]):
            numbers = self.net(x)[:, t]  # rests on x[:, :t], which is final
            value = self.transform.inverse(z[:, t], numbers)
            x = torch.cat((x[:, :t], value[:, None], x[:, t + 1 :]), dim=1)
        return x
