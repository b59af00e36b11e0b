"""Reals cut into buckets that an entropy coder can hold, and Gaussians as tables over them.

Buckets of equal mass under the prior: Townsend, Bird and Barber (2019), arXiv:1901.04866:
the prior then takes exactly log2(n) bits a number. Needs torch only.
"""

import math

import torch
from torch import Tensor


class Buckets:
    """n buckets of equal mass under N(0, 1); a bucket stands for the median of its mass.

    Numbers of another law N(m, s^2) are cut at m + s times the edges. All is in double precision.

    Parameters
    ----------
    n : int
        Even, at least 2. More of them cost initial bits, fewer blur the posterior.

    Examples
    --------
    >>> buckets = Buckets(4)
    >>> buckets.edges
    tensor([-0.6745,  0.0000,  0.6745], dtype=torch.float64)
    """

    def __init__(self, n: int = 1024):
        if type(n) is not int or n < 2 or n % 2:
            raise ValueError(f"n must be an even whole number of at least 2, got {n!r}")
        self.n = n
        quantiles = torch.arange(1, 2 * n, dtype=torch.float64) / (2 * n)
        points = torch.special.ndtri(quantiles)
        points = (points - points.flip(0)) / 2  # symmetric to the last digit
        self.edges, self.centres = points[1::2], points[::2]  # (n - 1,), (n,)

    def uniform(self, n_numbers: int) -> Tensor:
        """Log masses (n_numbers, n) under the law that the buckets are of."""
        return torch.full((n_numbers, self.n), -math.log(self.n), dtype=torch.float64)

    def log_masses(self, mean: Tensor, log_std: Tensor) -> Tensor:
        """Log masses (N, n) of N(mean, exp(log_std)^2) in the buckets, mean and log_std (N,) nats.

        A bucket right of the mean is mirrored to the left, where log Phi keeps its digits.
        """
        t = (self.edges - mean[:, None]) * (-log_std[:, None]).exp()  # (N, n - 1)
        below, above = torch.special.log_ndtr(t), torch.special.log_ndtr(-t)
        mirror = t[:, :-1] + t[:, 1:] > 0
        big = torch.where(mirror, above[:, :-1], below[:, 1:])
        small = torch.where(mirror, above[:, 1:], below[:, :-1])
        inner = big + torch.log(-torch.expm1((small - big).clamp_max(-1e-12)))
        return torch.cat((below[:, :1], inner, above[:, -1:]), 1)
