"""Fully visible belief net: each variable a logistic (softmax, linear) regression on those before.

Frey, Hinton & Dayan (1996), "Does the wake-sleep algorithm produce good density estimators?";
Neal (1992), doi:10.1016/0004-3702(92)90065-6. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class FVSBN(nn.Module):
    """Causal and linear: out_t = sum_{s < t} W_ts h_s, (B, D, in_features) -> (B, D, out_features).

    The constant of each regression is the background of the conditional.
    """

    def __init__(self, size: int, in_features: int, out_features: int):
        super().__init__()
        for name, value in dict(size=size, in_features=in_features).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if out_features < 1:
            raise ValueError(f"out_features must be at least 1, got {out_features}")
        self.weight = nn.Parameter(torch.zeros(size, out_features, size, in_features))
        before = torch.ones(size, size).tril(-1)  # [t, s]: does t see s?
        self.register_buffer("mask", before.view(size, 1, size, 1), persistent=False)
        nn.init.normal_(self.weight, std=0.01 / math.sqrt(size))

    def forward(self, h: Tensor) -> Tensor:
        """h (B, D, in_features) -> (B, D, out_features), row t from rows before t."""
        return torch.einsum("bse,tose->bto", h, self.weight * self.mask)
