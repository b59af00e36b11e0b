"""What a network over variables sees of their values: a vector for each level, a standard score.

Learned vectors: Bengio et al. (2003), A Neural Probabilistic Language Model, JMLR 3, section 2.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class LevelVectors(nn.Module):
    """A learned vector of ``dim`` numbers for every level, shared by all places.

    They begin as the powers of the level on [-1, 1], so that order counts from the start.

    >>> LevelVectors(levels=3, dim=2)(torch.tensor([[0, 1]]))
    tensor([[[-1.,  1.],
             [ 0.,  0.]]], grad_fn=<IndexBackward0>)
    """

    def __init__(self, levels: int, dim: int = 3):
        super().__init__()
        if levels < 2 or dim < 1:
            raise ValueError(f"levels >= 2 and dim >= 1, got {levels} and {dim}")
        self.dim = dim
        v = torch.linspace(-1, 1, levels)
        self.vectors = nn.Parameter(torch.stack([v ** (r + 1) for r in range(dim)], 1))

    def forward(self, v: Tensor, t: int | None = None) -> Tensor:
        """Levels v (B, D), or those of place t alone, (B, 1), -> (..., dim)."""
        return self.vectors[v]


class StandardScores(nn.Module):
    """Real values less the mean of their place, over its spread: one number for each.

    >>> StandardScores(size=2)(torch.tensor([[0.5, 2.0]])).shape
    torch.Size([1, 2, 1])
    """

    dim = 1

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def start_from(self, x: Tensor, data: object, order: Tensor) -> None:
        """Take mean and spread of every place from x (N, *shape); order[t] is in place t."""
        scale, mean = torch.std_mean(data.check(x).flatten(1)[:, order], 0)
        self.mean.copy_(mean)
        self.scale.copy_(scale.clamp(min=1e-6))

    def forward(self, v: Tensor, t: int | None = None) -> Tensor:
        """Values v (B, D), or those of place t alone, (B, 1), -> (..., 1)."""
        t = slice(None) if t is None else t
        return ((v - self.mean[t]) / self.scale[t]).unsqueeze(-1)
