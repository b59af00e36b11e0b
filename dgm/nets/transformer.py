"""A decoder Transformer: every position looks back at all before it, and keeps what it has read.

Attention and blocks: Vaswani et al. (2017), arXiv:1706.03762, eq. 1; normalisation first: Radford
et al. (2019), GPT-2, section 2.3; rotary positions: Su et al. (2021), arXiv:2104.09864, eq. 34.
Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary(h: Tensor, first: int = 0, base: float = 10_000.0) -> Tensor:
    """Turn pairs of features of h (..., T, D), D even, by angles that grow with the position.

    Position ``first`` + t turns pair i by (first + t) * base^(-2i/D), so the product of a query and
    a key depends on their distance alone.
    """
    length, dim = h.shape[-2:]
    t = torch.arange(first, first + length, device=h.device, dtype=h.dtype)
    i = torch.arange(0, dim, 2, device=h.device, dtype=h.dtype)
    angle = t[:, None] * base ** (-i / dim)  # (T, D/2)
    a, b = h.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class CausalAttention(nn.Module):
    """Self-attention with ``n_heads`` heads in which position t looks at positions 0 .. t."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        if n_heads < 1 or width % (2 * n_heads):
            raise ValueError(f"width must be a multiple of 2 * n_heads, got {width} and {n_heads}")
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def heads(self, h: Tensor, first: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """h (B, T, C) -> queries, keys, values (B, H, T, C/H); rotated before they are kept."""
        qkv = self.qkv(h).unflatten(-1, (3, self.n_heads, -1))  # (B, T, 3, H, C/H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return rotary(q, first), rotary(k, first), v

    def weights(self, h: Tensor) -> Tensor:
        """How much every position looks at every other, (B, H, T, T), for pictures."""
        q, k, _ = self.heads(h)
        score = q @ k.mT / math.sqrt(q.shape[-1])
        future = torch.ones_like(score[0, 0], dtype=torch.bool).triu(1)
        return score.masked_fill(future, -math.inf).softmax(-1)

    def forward(self, h: Tensor) -> Tensor:
        """All positions at once: (B, T, C) -> (B, T, C)."""
        read = F.scaled_dot_product_attention(*self.heads(h), is_causal=True)  # (B, H, T, C/H)
        return self.out(read.transpose(1, 2).flatten(2))

    def step(self, h: Tensor, cache: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple]:
        """One position (B, C), and the keys and values of those before it, (B, H, t, C/H) each."""
        first = 0 if cache is None else cache[0].shape[2]
        q, k, v = self.heads(h[:, None], first)
        if cache is not None:
            k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
        read = F.scaled_dot_product_attention(q, k, v)  # (B, H, 1, C/H)
        return self.out(read.transpose(1, 2).flatten(1)), (k, v)


class TransformerBlock(nn.Module):
    """h + attention(norm(h)), then h + network(norm(h)): positions talk, then each thinks."""

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, n_heads)
        self.net = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """All positions at once: (B, T, C) -> (B, T, C)."""
        h = h + self.dropout(self.attention(self.norm_1(h)))
        return h + self.dropout(self.net(self.norm_2(h)))

    def step(self, h: Tensor, cache: tuple | None) -> tuple[Tensor, tuple]:
        """One position (B, C) with its cache."""
        read, cache = self.attention.step(self.norm_1(h), cache)
        h = h + self.dropout(read)
        return h + self.dropout(self.net(self.norm_2(h))), cache


class Transformer(nn.Module):
    """``n_layers`` blocks and a last normalisation: causal features (B, T, width).

    Examples
    --------
    >>> net = Transformer(width=8, n_layers=2, n_heads=2)
    >>> net(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, n_layers: int, n_heads: int, dropout: float = 0.0):
        super().__init__()
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1, got {n_layers}")
        self.width = width
        self.blocks = nn.ModuleList(
            TransformerBlock(width, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        with torch.no_grad():  # a sum of 2 n_layers terms shall begin no larger than one
            for block in self.blocks:
                for layer in (block.attention.out, block.net[2]):
                    layer.weight.div_(math.sqrt(2 * n_layers))

    def forward(self, h: Tensor) -> Tensor:
        """All positions at once: h (B, T, width) -> (B, T, width)."""
        for block in self.blocks:
            h = block(h)
        return self.norm(h)

    def step(self, h: Tensor, state: list | None) -> tuple[Tensor, list]:
        """One position (B, width) and the caches of all blocks (None: before the beginning)."""
        caches = []
        for block, cache in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            h, cache = block.step(h, cache)
            caches.append(cache)
        return self.norm(h), caches
