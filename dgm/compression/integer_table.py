"""Probabilities as whole numbers that sum to a power of two: what an entropy coder can count with.

Encoder and decoder must hold the very same table. Networks round differently on another machine,
with another batch or another number of threads; from the rounded logarithms on, all arithmetic here
is of whole numbers. The problem: Balle, Johnston and Minnen (2019), Integer networks for data
compression with latent-variable models, ICLR; the tables: Duda (2013), arXiv:1311.2540.
Needs torch only.
"""

import math
from decimal import Decimal
from functools import lru_cache

import torch
from torch import Tensor

WEIGHT_BITS = 30  # of the largest mass, before the masses are made to sum to the total


@lru_cache(maxsize=8)
def _falling_weights(per_bit: int) -> Tensor:
    """floor(2^30 2^(-j / per_bit)) for j = 0, 1, ... until it is 0, int64 (J,).

    By decimal arithmetic, which is the same everywhere.
    """
    weights, j = [], 0
    while not weights or weights[-1]:
        weights.append(int(Decimal(2) ** (WEIGHT_BITS - Decimal(j) / per_bit)))
        j += 1
    return torch.tensor(weights)


class IntegerTable:
    """log p (N, K) of any normalisation -> frequencies (N, K), 1 or more, of sum 2^precision.

    A symbol v then takes precision - log2 f_v bits. Logarithms are first rounded to steps of
    1 / per_bit bits: networks in double precision agree to some 1e-13 wherever they run, so that
    all but one in 10^10 of their logarithms fall on the same step. (Steps of nats would meet ties:
    differences of stored weights are fractions of two.)

    Parameters
    ----------
    precision : int
        Bits of the total, 1 to 24.
    per_bit : int
        Steps of a bit that are told apart.

    Examples
    --------
    >>> table = IntegerTable(precision=8)
    >>> table(torch.tensor([[0.5, 0.25, 0.25]]).log())
    tensor([[128,  64,  64]])
    """

    def __init__(self, precision: int = 24, per_bit: int = 256):
        if type(precision) is not int or not 1 <= precision <= 24:
            raise ValueError(f"precision must be a whole number in 1 .. 24, got {precision!r}")
        if type(per_bit) is not int or per_bit < 1:
            raise ValueError(f"per_bit must be a whole number of at least 1, got {per_bit!r}")
        self.precision, self.per_bit = precision, per_bit

    def __call__(self, log_p: Tensor) -> Tensor:
        """Frequencies int64 (N, K) of log masses (N, K), floats.

        Raises
        ------
        ValueError
            log_p is not of this shape, holds NaN or +infinity, a row without any mass, or more
            symbols than half the total.
        """
        total = 1 << self.precision
        if log_p.ndim != 2 or not log_p.is_floating_point():
            raise ValueError(f"log_p must be floats (N, K), got {log_p.dtype} {log_p.shape}")
        n_symbols = log_p.shape[1]
        if not 1 <= n_symbols <= total // 2:
            raise ValueError(f"log_p must have 1 .. {total // 2} symbols a row, got {n_symbols}")
        most = log_p.amax(1, keepdim=True) if len(log_p) else log_p[:, :1]
        if not most.isfinite().all():
            raise ValueError("log_p must hold a finite largest value in every row, and no NaN")
        # from here on whole numbers
        weights = _falling_weights(self.per_bit)
        steps = (most - log_p) * (self.per_bit / math.log(2))
        mass = weights[steps.clamp_max(len(weights) - 1).round().long()]
        found = 1 + mass * (total - n_symbols) // mass.sum(1, keepdim=True)
        # what rounding down left over goes to the likeliest symbol
        left = total - found.sum(1, keepdim=True)
        return found.scatter_add(1, found.argmax(1, keepdim=True), left)
