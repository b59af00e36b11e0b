"""Parallel tempering: chains of an RBM at several temperatures that exchange their states.

Swendsen and Wang (1986), doi:10.1103/PhysRevLett.57.2607; to train RBMs: Desjardins et al. (2010),
Cho, Raiko and Ilin (2010). Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ParallelTempering(nn.Module):
    """Sets of chains, one chain of a set at each beta; neighbours may exchange states.

    Near beta = 0 chains move freely, at beta = 1 they follow the model; an exchange of the states
    v, w at beta, gamma is taken with probability min(1, r), where log r =
    F_beta(v) + F_gamma(w) - F_beta(w) - F_gamma(v). Then each beta keeps its own law. Serves as the
    negatives of an RBM, or alone by ``advance``.

    Own methods: ``advance``, ``swap``.

    Parameters
    ----------
    dims : int
        Visible units.
    n_sets : int
        Independent sets; the negatives are their chains at beta = 1.
    n_betas : int
        Chains in a set, at least 2: beta rises evenly from 0 to 1.

    Raises
    ------
    ValueError
        A count is too small or no whole number.

    Examples
    --------
    >>> ParallelTempering(64, n_sets=10, n_betas=5).betas.flatten().tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """

    def __init__(self, dims: int, n_sets: int = 20, n_betas: int = 10):
        super().__init__()
        least = {"dims": (dims, 1), "n_sets": (n_sets, 1), "n_betas": (n_betas, 2)}
        for name, (count, low) in least.items():
            if type(count) is not int or count < low:
                raise ValueError(f"{name} must be a whole number of at least {low}, got {count!r}")
        self.register_buffer("betas", torch.linspace(0, 1, n_betas).view(-1, 1, 1))
        self.register_buffer("chains", torch.zeros(n_betas, n_sets, dims, dtype=torch.uint8))

    def swap(
        self, rbm: nn.Module, v: Tensor, even: bool, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offer exchanges between neighbours 0-1, 2-3, ... (``even``) or 1-2, 3-4, ...

        v is (T, S, D), first chain hottest. Returns the states after and which pairs were taken,
        a bool for each pair and set.
        """
        first = torch.arange(0 if even else 1, len(v) - 1, 2, device=v.device)
        low, high, betas = v[first], v[first + 1], self.betas.to(v.dtype)
        stay = rbm.free_energy(low, betas[first]) + rbm.free_energy(high, betas[first + 1])
        move = rbm.free_energy(high, betas[first]) + rbm.free_energy(low, betas[first + 1])
        noise = torch.rand(stay.shape, generator=generator, device=v.device, dtype=v.dtype)
        taken = noise.log() < stay - move  # (pairs, S)
        after = v.clone()
        after[first] = torch.where(taken[..., None], high, low)
        after[first + 1] = torch.where(taken[..., None], low, high)
        return after, taken

    def advance(
        self, rbm: nn.Module, v: Tensor, sweeps: int = 1, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """States v (T, S, D) after sweeps, each followed by both rounds of exchanges.

        Also the share of exchanges taken between neighbours, (T - 1,).
        """
        shares = v.new_zeros(len(v) - 1)
        for _ in range(sweeps):
            v = rbm.sweep(v, self.betas.to(v.dtype), generator)
            for even in (True, False):
                if even or len(v) > 2:
                    v, taken = self.swap(rbm, v, even, generator)
                    shares[0 if even else 1 :: 2] += taken.to(v.dtype).mean(1) / sweeps
        return v, shares

    def forward(self, rbm: nn.Module, v: Tensor) -> Tensor:
        """The chains (n_sets, D) at beta = 1, one sweep and exchange later; v gives the type."""
        state = self.advance(rbm, self.chains.to(v.dtype))[0]
        if self.training:
            self.chains.copy_(state)
        return state[-1]
