"""Three ways a layer z enters the state h of the downward pass.

`Replaced`: a chain of layers, Sonderby et al. (2016), arXiv:1602.02282. `Joined`: skip connections,
Maaloe et al. (2019), arXiv:1902.02102, section 2.2. `Added`: residual, Kingma et al. (2016),
arXiv:1606.04934, and Child (2021), arXiv:2011.10650, figure 3. Needs torch only.
"""

import torch
from torch import Tensor, nn


class Replaced(nn.Module):
    """h = net(z): the next layer knows of this one alone, so the layers are a Markov chain."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """State h (B, ...) and layer z (B, C, ...) -> the state below."""
        return self.net(z)


class Joined(nn.Module):
    """h = net([h, z]): what was above stays in sight."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """State h (B, ...) and layer z (B, C, ...) -> the state below."""
        return self.net(torch.cat((h, z), 1))


class Added(nn.Module):
    """h = net(h + project(z)): a residual stream that every layer adds to."""

    def __init__(self, project: nn.Module, net: nn.Module):
        super().__init__()
        self.project, self.net = project, net

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """State h (B, ...) and layer z (B, C, ...) -> the state below."""
        return self.net(h + self.project(z))


class OnlyTheDraw(nn.Module):
    """What goes on upwards is the draw alone: then the layers of q are a Markov chain too."""

    def forward(self, d: Tensor, z: Tensor) -> Tensor:
        """Features d (B, ...) and what was drawn from them -> what the layer above reads."""
        return z
