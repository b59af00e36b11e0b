"""Activations with slopes of at most one and a second derivative: LipSwish, and two of it together.

LipSwish: Chen et al. (2019), Residual flows, arXiv:1906.02735, section 3.4. CLipSwish:
Perugachi-Diaz, Tomczak and Bhulai (2021), i-DenseNets, arXiv:2102.02694, section 3.3.
Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class LipSwish(nn.Module):
    """x sigmoid(beta x) / 1.1 with a learned beta = softplus(b) > 0; its slope is at most .99985.

    The largest slope of x sigmoid(x) is 1.09984, at x = 2.399, and no beta changes it.
    """

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """x (...) -> (...)."""
        return x * torch.sigmoid(x * softplus(self.b)) / 1.1


class ConcatLipSwish(nn.Module):
    """CLipSwish: LipSwish of x and of -x side by side, over 1.004; twice the channels.

    The root of the sum of their squared slopes is at most 1.10436 / 1.1 = 1.003965.
    """

    def __init__(self):
        super().__init__()
        self.lip_swish = LipSwish()

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, ...) -> (B, 2C, ...)."""
        return torch.cat((self.lip_swish(x), self.lip_swish(-x)), dim=1) / 1.004
