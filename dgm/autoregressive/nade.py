"""NADE: one hidden layer per variable, with shared weights, for the price of one hidden layer.

Larochelle & Murray (2011), The Neural Autoregressive Distribution Estimator, PMLR 15, eqs. 4-5 and
algorithm 1. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class NADE(nn.Module):
    """out_t = V_t sigmoid(c + sum_{s < t} W_s h_s): the sum grows by one term from t to t + 1.

    (B, D, in_features) -> (B, D, out_features). The hidden layers of all variables cost O(D width)
    together, and so does drawing a sample, by `step`.
    """

    def __init__(
        self, size: int, in_features: int, out_features: int, width: int = 64, dropout: float = 0.0
    ):
        super().__init__()
        named = dict(size=size, in_features=in_features, out_features=out_features, width=width)
        for name, value in named.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.into = nn.Parameter(torch.randn(size, in_features, width) / math.sqrt(size))  # W
        self.bias = nn.Parameter(torch.zeros(width))  # c
        self.out = nn.Parameter(0.1 * torch.randn(size, width, out_features) / math.sqrt(width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, D, in_features) -> (B, D, out_features), row t from rows before t."""
        terms = torch.einsum("bse,sew->bsw", h, self.into)
        before = torch.cat((torch.zeros_like(terms[:, :1]), terms[:, :-1]), 1).cumsum(1)
        hidden = self.dropout((self.bias + before).sigmoid())
        return torch.einsum("btw,two->bto", hidden, self.out)

    def step(self, t: int, h: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Row t alone, (B, out_features), from row t - 1 of the input and the sum so far.

        At t = 0 there is no row before: h (B, in_features) then only says how many.
        """
        state = self.bias.expand(len(h), -1) if t == 0 else state + h @ self.into[t - 1]
        return self.dropout(state.sigmoid()) @ self.out[t], state
