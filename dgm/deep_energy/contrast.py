"""Contrastive training: lower the energy of data, raise that of chains that run along.

The gradient of the likelihood: Hinton (2002), doi:10.1162/089976602760128018; with Langevin chains
and a buffer: Du and Mordatch (2019), arXiv:1903.08689, algorithm 1. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Contrast(nn.Module):
    """E(data) - mean E(chains): its gradient is that of -log p as far as the chains follow p.

    Parameters
    ----------
    buffer : nn.Module
        ``take``, ``put`` (replay_buffer.py); of at least a batch of chains.
    steps : int
        Steps of each chain before it is compared.
    noise : float
        Standard deviation of the noise on the data: what is modelled is the data with that noise.
    penalty : float
        Weight of the squared energies of both sides, which keeps their level near 0.

    Raises
    ------
    ValueError
        steps is no whole number of at least 1, or noise or penalty negative.

    Examples
    --------
    >>> from dgm.deep_energy.replay_buffer import ReplayBuffer
    >>> Contrast(ReplayBuffer(64, size=100), steps=10, noise=0.1).steps
    10
    """

    def __init__(
        self, buffer: nn.Module, steps: int = 20, noise: float = 0.0, penalty: float = 0.0
    ):
        super().__init__()
        if type(steps) is not int or steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
        for name, value in dict(noise=noise, penalty=penalty).items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value!r}")
        self.buffer, self.steps, self.noise, self.penalty = buffer, steps, noise, penalty

    def forward(self, model: nn.Module, u: Tensor) -> Tensor:
        """Of rows u (B, D): (B,), without a meaning as a number; its gradient is what counts.

        In training the chains go on, and a walker that can settles its step.
        """
        # the chains
        rows, start = self.buffer.take(len(u), model.base_draws(len(u)).to(u.dtype))
        chains, share = model.walker(model.tilted, start, self.steps)
        if self.training:
            self.buffer.put(rows, chains)
            model.walker.settle(share)
        # both sides in one pass
        u = u + self.noise * torch.randn_like(u)
        of_data, of_chains = model.tilted(torch.cat((u, chains))).tensor_split((len(u),))
        level = of_data.square() + of_chains.square().mean()
        return of_data - of_chains.mean() + self.penalty * level
