"""K perceptrons side by side, one for each class, as one batched product: the decoders of ten VAEs.

Textbook; a batched matrix product per layer. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class ClassMLPs(nn.Module):
    """K networks features -> hidden -> out_features; none sees another's weights.

    Examples
    --------
    >>> nets = ClassMLPs(3, 2, 5, hidden=4)
    >>> nets(torch.zeros(3, 7, 2)).shape, nets.of(torch.zeros(6, 2), torch.arange(6) % 3).shape
    (torch.Size([3, 7, 5]), torch.Size([6, 5]))
    """

    def __init__(self, n_classes: int, features: int, out_features: int, hidden: int = 64):
        super().__init__()
        self.first = nn.Parameter(torch.randn(n_classes, features, hidden) / math.sqrt(features))
        self.second = nn.Parameter(torch.randn(n_classes, hidden, out_features) / math.sqrt(hidden))
        self.turn = nn.Parameter(torch.zeros(n_classes, 1, hidden))
        self.level = nn.Parameter(torch.zeros(n_classes, 1, out_features))

    def forward(self, z: Tensor) -> Tensor:
        """z (K, B, features), a batch for every class -> (K, B, out_features)."""
        h = silu(torch.baddbmm(self.turn, z, self.first))
        return torch.baddbmm(self.level, h, self.second)

    def of(self, z: Tensor, y: Tensor) -> Tensor:
        """z (B, features) through the network of its class in y (B,), (B, out_features)."""
        out = z.new_empty(len(z), self.level.shape[2])
        for k in y.unique().tolist():
            h = silu(z[y == k] @ self.first[k] + self.turn[k])
            out[y == k] = h @ self.second[k] + self.level[k]
        return out
