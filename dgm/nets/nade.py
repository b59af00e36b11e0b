"""NADE: one hidden layer per variable, with shared weights, for the price of one hidden layer.

Larochelle & Murray (2011), The Neural Autoregressive Distribution Estimator, PMLR 15, eqs. 4-5 and
algorithm 1. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class NADE(nn.Module):
    """out_t = V_t sigmoid(c + sum_{s < t} W_s e(v_s)): the sum grows by one term from t to t + 1.

    (B, D) -> (B, D, out_features). The hidden layers of all variables cost O(D width) together,
    and so does drawing a sample, by `step`.

    Parameters
    ----------
    size : int
        D, the number of variables.
    embed : nn.Module
        e: values (B, D) -> (B, D, embed.dim), and of one place, as in value_embedding.py.
    out_features : int
        What the law of a variable asks for.
    width : int
        Hidden units of each variable.
    dropout : float
        Of the hidden units, in training only.
    """

    def __init__(
        self,
        size: int,
        embed: nn.Module,
        out_features: int,
        width: int = 64,
        dropout: float = 0.0,
    ):
        super().__init__()
        for name, value in dict(size=size, out_features=out_features, width=width).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.embed = embed
        self.into = nn.Parameter(torch.randn(size, embed.dim, width) / math.sqrt(size))  # W
        self.bias = nn.Parameter(torch.zeros(width))  # c
        self.out = nn.Parameter(0.1 * torch.randn(size, width, out_features) / math.sqrt(width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, v: Tensor) -> Tensor:
        """Values v (B, D) -> (B, D, out_features), row t from values before t."""
        terms = torch.einsum("bse,sew->bsw", self.embed(v), self.into)
        before = torch.cat((torch.zeros_like(terms[:, :1]), terms[:, :-1]), 1).cumsum(1)
        hidden = self.dropout((self.bias + before).sigmoid())
        return torch.einsum("btw,two->bto", hidden, self.out)

    def step(self, t: int, v: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Row t alone, (B, out_features), from v[:, t - 1] and the sum so far, (B, width)."""
        if t == 0:
            state = self.bias.expand(len(v), -1)
        else:
            state = state + self.embed(v[:, t - 1 : t], t - 1)[:, 0] @ self.into[t - 1]
        return self.dropout(state.sigmoid()) @ self.out[t], state
