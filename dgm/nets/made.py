"""MADE: a network with masks on its weights, all conditionals in one pass, for any order.

Germain, Gregor, Murray & Larochelle (2015), arXiv:1502.03509, eqs. 8-13 (masks), section 4.2
(orders drawn anew while training, their probabilities averaged); residual blocks: Nash & Durkan
(2019), arXiv:1904.05626, section 3. Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedLinear(nn.Linear):
    """A linear layer without some of its connections: ``forward(h, mask)``, mask (out, in)."""

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """h (B, in) -> (B, out); connections where mask is 0 carry nothing."""
        return F.linear(h, self.weight * mask, self.bias)


class MADE(nn.Module):
    """Causal: (B, D) -> (B, D, out_features), row t from values before t only.

    Every hidden unit has a degree m in 1 .. D - 1 and sees the first m variables; an output of the
    t-th variable (t = 1 .. D) sees the units with m < t, and by a direct connection the variables
    before t. ``blocks`` residual blocks keep the degrees.

    Parameters
    ----------
    size : int
        D, the number of variables.
    embed : nn.Module
        Values (B, D) -> (B, D, embed.dim), as in value_embedding.py.
    out_features : int
        What the law of a variable asks for.
    width : int
        Hidden units; with fewer than D - 1 some variables are seen by direct connections only.
    blocks : int
        Residual blocks of two layers.
    dropout : float
        Of hidden units, in training only.
    """

    def __init__(
        self,
        size: int,
        embed: nn.Module,
        out_features: int,
        width: int = 128,
        blocks: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        for name, value in dict(size=size, out_features=out_features, width=width).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if blocks < 0 or not 0 <= dropout < 1:
            raise ValueError(f"blocks >= 0 and dropout in [0, 1), got {blocks} and {dropout}")
        self.embed, self.size, self.out_features = embed, size, out_features
        inputs, outputs = size * embed.dim, size * out_features
        self.first = MaskedLinear(inputs, width)
        self.hidden = nn.ModuleList(MaskedLinear(width, width) for _ in range(2 * blocks))
        self.last = MaskedLinear(width, outputs)
        self.direct = MaskedLinear(inputs, outputs, bias=False)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.last, self.direct):
            nn.init.normal_(layer.weight, std=0.1 / math.sqrt(layer.in_features))
        degree = (torch.arange(width) * (size - 1)).div(width, rounding_mode="floor") + 1
        degree = degree.clamp(max=size - 1)  # 0 where D = 1: sees nothing
        self.register_buffer("degree", degree, persistent=False)

    def masks(self, rank: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Masks of the first, hidden, last and direct layers, (out, in), 0 or 1.

        ``rank`` (D,) says which place each variable has in the order, from 0; as given if None.
        """
        rank = torch.arange(self.size, device=self.degree.device) if rank is None else rank
        seen = (rank + 1).repeat_interleave(self.embed.dim)  # degree of each input
        asked = (rank + 1).repeat_interleave(self.out_features)  # and of each output
        first = self.degree[:, None] >= seen
        hidden = self.degree[:, None] >= self.degree
        last = asked[:, None] > self.degree  # strictly: an output must not see its own variable
        direct = asked[:, None] > seen
        return tuple(m.to(self.first.weight.dtype) for m in (first, hidden, last, direct))

    def forward(self, v: Tensor, rank: Tensor | None = None) -> Tensor:
        """Values v (B, D) -> (B, D, out_features), causal in the order of ``rank`` (D,)."""
        first, hidden, last, direct = self.masks(rank)
        inputs = self.embed(v).flatten(1)
        h = self.first(inputs, first)
        for a, b in zip(self.hidden[::2], self.hidden[1::2], strict=True):
            h = h + b(self.dropout(F.silu(a(F.silu(h), hidden))), hidden)
        out = self.last(self.dropout(F.silu(h)), last) + self.direct(inputs, direct)
        return out.view(-1, self.size, self.out_features)
