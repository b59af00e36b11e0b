"""Fully visible belief net: each variable a logistic (softmax, linear) regression on those before.

Frey, Hinton & Dayan (1996), "Does the wake-sleep algorithm produce good density estimators?";
Neal (1992), doi:10.1016/0004-3702(92)90065-6. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class FVSBN(nn.Module):
    """Causal and linear: out_t = sum_{s < t} W_ts e(v_s), (B, D) -> (B, D, out_features).

    The constant of each regression is the background of the law.

    Parameters
    ----------
    size : int
        D, the number of variables.
    embed : nn.Module
        e: values (B, D) -> (B, D, embed.dim), as in value_embedding.py.
    out_features : int
        What the law of a variable asks for.
    """

    def __init__(self, size: int, embed: nn.Module, out_features: int):
        super().__init__()
        for name, value in dict(size=size, out_features=out_features).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.embed = embed
        self.weight = nn.Parameter(torch.zeros(size, out_features, size, embed.dim))
        before = torch.ones(size, size).tril(-1)  # [t, s]: does t see s?
        self.register_buffer("mask", before.view(size, 1, size, 1), persistent=False)
        nn.init.normal_(self.weight, std=0.01 / math.sqrt(size))

    def forward(self, v: Tensor) -> Tensor:
        """Values v (B, D) -> (B, D, out_features), row t from values before t."""
        return torch.einsum("bse,tose->bto", self.embed(v), self.weight * self.mask)
