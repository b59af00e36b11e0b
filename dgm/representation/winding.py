"""Winding: a map of Gaussian codes that moves no probability and can make them unreadable.

Pairs of entries are turned by angles that depend on their radius and on other entries. A turn
keeps lengths and volumes, so the density N(0, I) is the same at every point before and after; as a
layer at the end of a flow it changes codes and no likelihood. That codes are not determined by the
likelihood: Hyvarinen and Pajunen (1999), doi:10.1016/S0893-6080(98)00140-3, theorem 1; Locatello
et al. (2019), arXiv:1811.12359, theorem 1. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Winding(nn.Module):
    """z -> z' with |z'| = |z| and determinant one: rows of codes wound up, stage after stage.

    Each stage shuffles the entries, takes the first half as pairs, and turns pair i by
    2 pi turns (r_i + w_i . b): r_i is the radius of the pair, b the other half and w_i a fixed
    unit vector. The turn is undone from r_i and b, which it leaves as they are.

    Parameters
    ----------
    dims : int
        Entries of a code, at least 2; an odd one out in the first half is left alone.
    turns : float
        How fast angles change: full turns for each unit of radius. 0 leaves every code as it is,
        its entries in order.
    stages : int
        One after the other.
    seed : int
        Of the shuffles and directions, which are constants.

    Examples
    --------
    >>> winding, z = Winding(6, turns=0.5), torch.randn(4, 6)
    >>> wound, log_det = winding(z)
    >>> torch.allclose(wound.norm(dim=1), z.norm(dim=1)), log_det.tolist()
    (True, [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, dims: int, turns: float, stages: int = 3, seed: int = 0):
        super().__init__()
        for name, value, least in (("dims", dims, 2), ("stages", stages, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")
        if not (isinstance(turns, int | float) and math.isfinite(turns)):
            raise ValueError(f"turns must be finite, got {turns!r}")
        self.dims, self.turns, self.stages = dims, float(turns), stages
        self.pairs = max(1, dims // 4)
        # constants: which entries are pairs, and what turns them
        generator = torch.Generator().manual_seed(seed)
        orders = torch.stack([torch.randperm(dims, generator=generator) for _ in range(stages)])
        rest = dims - 2 * self.pairs
        w = torch.randn(stages, self.pairs, rest, generator=generator, dtype=torch.float64)
        w = w / w.norm(dim=2, keepdim=True).clamp_min(1e-12)
        self.register_buffer("orders", orders, persistent=False)
        self.register_buffer("directions", w.to(torch.get_default_dtype()), persistent=False)

    def _turned(self, z: Tensor, stage: int, sign: float) -> Tensor:
        """One stage on shuffled rows z (B, D), forth with sign 1 and back with sign -1."""
        a, b = z[:, : 2 * self.pairs], z[:, 2 * self.pairs :]
        x, y = a[:, ::2], a[:, 1::2]  # (B, pairs) each
        angle = torch.hypot(x, y) + b @ self.directions[stage].to(z).T
        angle = sign * 2 * math.pi * self.turns * angle
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack((cos * x - sin * y, sin * x + cos * y), 2).flatten(1)
        return torch.cat((turned, b), 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, D) -> z' (B, D) and log|det dz'/dz| (B,), which is zero."""
        for stage, order in enumerate(self.orders):
            turned = self._turned(z[:, order], stage, 1.0)
            z = torch.empty_like(z).index_copy(1, order, turned)
        return z, z.new_zeros(len(z))

    def inverse(self, z: Tensor) -> Tensor:
        """z' -> z, the stages undone in reverse order."""
        for stage in reversed(range(self.stages)):
            order = self.orders[stage]
            turned = self._turned(z[:, order], stage, -1.0)
            z = torch.empty_like(z).index_copy(1, order, turned)
        return z
