"""The probability-flow equation: a field without noise that has the laws of the diffusion.

Song et al. (2021), arXiv:2011.13456, eq. 13 and section 4.3; in terms of gamma it reads
dz / d gamma = alpha (alpha z - x_hat) / 2. Needs torch only.
"""

import torch
from torch import Tensor, nn


class ProbabilityFlow(nn.Module):
    """``field(t, z)``: velocity of z from noise at t = 0 to data at t = 1, for a solver.

    gamma falls in a straight line from ``high`` to ``low``. Its divergence gives the likelihood:
    put the field into an `ODELayer` with a trace, over N(0, I).

    Parameters
    ----------
    predictor : nn.Module
        ``predictor(z, gamma)`` = x_hat (parameterisation.py, exact_denoiser.py).
    process : ``signal_and_noise(gamma, like)`` (forward_process.py).
    low, high : float
        Ends of gamma.
    """

    def __init__(self, predictor: nn.Module, process: object, low: float, high: float):
        super().__init__()
        if not low < high:
            raise ValueError(f"low must be below high, got {low!r} and {high!r}")
        self.predictor, self.process, self.low, self.high = predictor, process, low, high

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Time t, a number, and z (B, *shape) -> velocity like z."""
        gamma = (self.high + (self.low - self.high) * torch.as_tensor(t).to(z)).expand(len(z))
        alpha, _ = self.process.signal_and_noise(gamma, z)
        return 0.5 * (self.low - self.high) * alpha * (alpha * z - self.predictor(z, gamma))
