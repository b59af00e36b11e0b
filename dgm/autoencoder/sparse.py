"""Sparse autoencoders: many units, few of them active for any one example.

Firing rates held near a target: Ng (2011), CS294A Lecture notes, section 3
(https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf). L1 with atoms of unit length:
Olshausen & Field (1997), doi:10.1016/S0042-6989(97)00169-7. The k largest: Makhzani & Frey (2014),
arXiv:1312.5663. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize


class RatePenalty(nn.Module):
    """weight * sum_j KL(rate || mean of unit j over the batch), for units in (0, 1).

    Ng (2011). The mean is over the batch, so the penalty is the same for all of its examples, and
    batches under about 32 say little about a rate of 0.05.
    """

    def __init__(self, weight: float = 1.0, rate: float = 0.05):
        super().__init__()
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie between 0 and 1, got {rate}")
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, got {weight}")
        self.weight, self.rate = weight, rate

    def forward(self, z: Tensor) -> Tensor:
        """Codes (B, d) in 0..1 -> (B,), all equal.

        Raises
        ------
        ValueError : a code outside 0..1, whose mean is no rate.
        """
        if z.min() < 0 or z.max() > 1:
            raise ValueError(
                f"z must lie in 0..1 for a firing rate, got {z.min():.3g} .. {z.max():.3g}: "
                "let the encoder end in a sigmoid"
            )
        mean, rate = z.mean(0).clamp(1e-6, 1 - 1e-6), self.rate  # (d,)
        on = rate * (rate / mean).log()
        off = (1 - rate) * ((1 - rate) / (1 - mean)).log()
        return self.weight * (on + off).sum().expand(len(z))


class L1Penalty(nn.Module):
    """weight * sum_j |z_j| for each example; the decoder needs atoms of length 1 (`UnitAtoms`)."""

    def __init__(self, weight: float = 0.1):
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, got {weight}")
        self.weight = weight

    def forward(self, z: Tensor) -> Tensor:
        """Codes (B, d) -> (B,)."""
        return self.weight * z.abs().sum(1)


class UnitAtoms(nn.Module):
    """A linear decoder whose columns have length 1.

    Otherwise a network pays less L1 by halving its code and doubling its decoder, and nothing
    becomes sparse.
    """

    def __init__(self, code_dim: int, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, code_dim))
        self.bias = nn.Parameter(torch.zeros(features))

    def atoms(self) -> Tensor:
        """Columns of the decoder, (D, d), each of length 1."""
        return normalize(self.weight, dim=0)

    def forward(self, z: Tensor) -> Tensor:
        """Codes (B, d) -> rows (B, D)."""
        return linear(z, self.atoms(), self.bias)


class KeepLargest(nn.Module):
    """Set all but the k largest entries of each code to zero: the last layer of an encoder.

    Makhzani & Frey (2014), section 2. Equal entries are kept by their order.
    """

    def __init__(self, k: int):
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k

    def forward(self, z: Tensor) -> Tensor:
        """Codes (B, d) -> (B, d) with at most k entries that are not zero."""
        if self.k > z.shape[1]:
            raise ValueError(f"k = {self.k} entries cannot be kept of codes of {z.shape[1]}")
        return torch.zeros_like(z).scatter(1, z.topk(self.k, dim=1).indices, 1.0) * z


class SparseAutoencoder(nn.Module):
    """Squared error plus a price on the code.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x, 0, 1)``, ``unscaled(rows, 0, 1)``, ``shape``,
        ``finite(z)``. Pixels go to 0..1, so that a loss is in units of the full grey range.
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    penalty : nn.Module
        Codes (B, d) -> (B,): `RatePenalty` or `L1Penalty`.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> pixels = Levels((1, 2, 2), 17)
    >>> encoder = nn.Sequential(nn.Linear(4, 9), nn.ReLU())
    >>> model = SparseAutoencoder(pixels, encoder, UnitAtoms(9, 4), L1Penalty(0.1))
    >>> model.loss(torch.randint(17, (5, 1, 2, 2))).shape
    torch.Size([5])
    """

    def __init__(self, data: object, encoder: nn.Module, decoder: nn.Module, penalty: nn.Module):
        super().__init__()
        self.data, self.encoder, self.decoder = data, encoder, decoder
        self.penalty = penalty

    def _rows(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> rows (B, D), pixels in 0..1."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.data.rows(x, dtype, trusted=self.training)

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> code (B, d)."""
        return self.encoder(self._rows(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, *shape) floats on the scale of the data."""
        rows = self.decoder(self.data.finite(z)).unflatten(1, self.data.shape)
        return self.data.unscaled(rows, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, *shape), floats on the scale of the data."""
        return self.decode(self.encode(x))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """The two parts of the loss, (B,) each."""
        rows = self._rows(x)
        z = self.encoder(rows)
        error = (self.decoder(z) - rows).square().sum(1)
        return {"reconstruction": error, "penalty": self.penalty(z)}

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows plus the penalty, (B,). It has no unit of nats."""
        return sum(self.terms(x).values())
