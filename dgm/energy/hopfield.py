"""Hopfield network: patterns of +-1 stored as valleys of an energy, and recalled by descending it.

Hopfield (1982), doi:10.1073/pnas.79.8.2554; its capacity: Amit, Gutfreund and Sompolinsky (1985),
doi:10.1103/PhysRevLett.55.1530. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def signs(s: Tensor, units: int, name: str = "s") -> Tensor:
    """s (B >= 1, units) of +1 and -1, as float; a ValueError that names it otherwise."""
    right = isinstance(s, Tensor) and s.ndim == 2 and s.shape[1] == units and len(s) > 0
    if not right:
        got = tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__
        raise ValueError(f"{name} must be a tensor (B >= 1, {units}) of +1 and -1, got {got}")
    if not ((s == 1) | (s == -1)).all():
        wrong = s[(s != 1) & (s != -1)][0].item()
        raise ValueError(f"{name} must hold +1 and -1 only, got {wrong}")
    return s.to(s.dtype if s.is_floating_point() else torch.get_default_dtype())


class Hopfield(nn.Module):
    """N units s in {-1, 1}, energy -s'Ws / 2, weights symmetric with a zero diagonal.

    One unit after the other takes the sign of its field (Ws)_i: with such weights no step raises
    the energy, so the network comes to rest.

    Own methods: ``recall``, ``sweep``, ``at_once``.

    Parameters
    ----------
    weight : Tensor
        (N, N), symmetric, zero diagonal; `hebb` and `pseudo_inverse` make it from patterns.

    Raises
    ------
    ValueError
        weight is not square, finite and symmetric, or its diagonal is not zero.

    Examples
    --------
    >>> patterns = torch.tensor([[1, 1, -1, -1], [1, -1, 1, -1]])
    >>> network = Hopfield(hebb(patterns))
    >>> network.recall(torch.tensor([[1, 1, -1, -1]])).tolist()
    [[1.0, 1.0, -1.0, -1.0]]
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        if weight.ndim != 2 or weight.shape[0] != weight.shape[1] or not weight.isfinite().all():
            raise ValueError(f"weight must be square and finite, got {tuple(weight.shape)}")
        gap = (weight - weight.T).abs().max().item()
        if gap > 1e-6 * weight.abs().max().item():
            raise ValueError(f"weight must be symmetric, its transpose is {gap:.3g} away")
        largest = weight.diagonal().abs().max().item()
        if largest > 0:
            raise ValueError(f"weight must have a zero diagonal, it holds {largest:.3g}")
        self.register_buffer("weight", weight)

    def energy(self, s: Tensor) -> Tensor:
        """-s'Ws / 2 of states s (B, N) of +-1, (B,); no probability is meant."""
        s = signs(s, len(self.weight)).to(self.weight.dtype)
        return -0.5 * (s @ self.weight * s).sum(1)

    def sweep(self, s: Tensor, order: Tensor) -> Tensor:
        """States s (B, N) after every unit was updated once, in this order; a field of 0 keeps it.

        Each unit sees what those before it have become.
        """
        s = s.clone()
        for i in order.tolist():
            field = s @ self.weight[i]  # (B,)
            s[:, i] = torch.where(field == 0, s[:, i], field.sign())
        return s

    def at_once(self, s: Tensor) -> Tensor:
        """States s (B, N) after all units were updated at the same time; it may go in circles."""
        s = signs(s, len(self.weight)).to(self.weight.dtype)
        field = s @ self.weight
        return torch.where(field == 0, s, field.sign())

    def recall(
        self, s: Tensor, max_sweeps: int = 100, generator: torch.Generator | None = None
    ) -> Tensor:
        """Where states s (B, N) come to rest, units updated one by one in random order.

        Stops after a sweep that changed nothing, or ``max_sweeps`` of them.
        """
        s = signs(s, len(self.weight)).to(self.weight.dtype)
        for _ in range(max_sweeps):
            order = torch.randperm(s.shape[1], generator=generator)
            before, s = s, self.sweep(s, order)
            if torch.equal(before, s):
                break
        return s


def hebb(patterns: Tensor) -> Tensor:
    """Hebb's weights (N, N): mean of products over patterns (P, N) of +-1, times P / N.

    W = X'X / N without its diagonal. Raises a ValueError for other values than +-1.
    """
    x = signs(patterns, _width(patterns), "patterns")
    weight = x.T @ x / x.shape[1]
    return weight.fill_diagonal_(0.0)


def pseudo_inverse(patterns: Tensor) -> Tensor:
    """Weights (N, N) that project on the span of patterns (P, N), without the diagonal.

    Personnaz, Guyon and Dreyfus (1985): patterns that resemble each other do not disturb each
    other, as long as they are linearly independent.
    """
    x = signs(patterns, _width(patterns), "patterns")
    weight = torch.linalg.pinv(x) @ x
    return (0.5 * (weight + weight.T)).fill_diagonal_(0.0)


def _width(patterns: Tensor) -> int:
    """Units N of patterns (P, N), for the message where they have none."""
    return patterns.shape[-1] if isinstance(patterns, Tensor) and patterns.ndim == 2 else 0
