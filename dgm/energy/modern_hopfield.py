"""Modern Hopfield network: an energy of the log-sum-exp of overlaps, whose descent is attention.

Ramsauer et al. (2021), arXiv:2008.02217, eqs. 1-3; before it Krotov and Hopfield (2016),
arXiv:1606.01164. Needs torch only.
"""

from __future__ import annotations

import math

from torch import Tensor, nn


class ModernHopfield(nn.Module):
    """Stored patterns (P, N) of reals; a state moves to their mean, weighted by softmax(beta X s).

    Energy -logsumexp(beta X s) / beta + s's / 2, up to a constant: the update never raises it. With
    one row of queries a state, patterns as keys and as values, the update is softmax attention.

    Own methods: ``weights``.

    Parameters
    ----------
    patterns : Tensor
        (P, N), finite floats.
    beta : float
        Inverse temperature, above 0: small values settle on means of several patterns.

    Raises
    ------
    ValueError
        patterns is no finite float matrix, beta is not positive and finite.

    Examples
    --------
    >>> network = ModernHopfield(torch.eye(3), beta=20.0)
    >>> network(torch.tensor([[0.9, 0.2, 0.0]])).round().tolist()
    [[1.0, 0.0, 0.0]]
    """

    def __init__(self, patterns: Tensor, beta: float = 1.0):
        super().__init__()
        right = isinstance(patterns, Tensor) and patterns.ndim == 2 and len(patterns) > 0
        if not right or not patterns.is_floating_point() or not patterns.isfinite().all():
            got = f"{patterns.dtype} {tuple(patterns.shape)}" if right else repr(patterns)[:40]
            raise ValueError(f"patterns must be finite floats (P >= 1, N), got {got}")
        if not 0 < beta < math.inf:
            raise ValueError(f"beta must be positive and finite, got {beta}")
        self.beta = beta
        self.register_buffer("patterns", patterns)

    def weights(self, s: Tensor) -> Tensor:
        """How much of each pattern enters the next state, (B, P), rows sum to 1."""
        if not isinstance(s, Tensor) or s.ndim != 2 or s.shape[1] != self.patterns.shape[1]:
            got = tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__
            raise ValueError(f"s must be a tensor (B, {self.patterns.shape[1]}), got {got}")
        return (self.beta * s @ self.patterns.T).softmax(1)

    def forward(self, s: Tensor) -> Tensor:
        """One update of states s (B, N)."""
        return self.weights(s) @ self.patterns

    def energy(self, s: Tensor) -> Tensor:
        """-logsumexp(beta X s) / beta + s's / 2, (B,)."""
        overlap = self.beta * s @ self.patterns.T
        return -overlap.logsumexp(1) / self.beta + 0.5 * s.square().sum(1)
