"""A stochastic autoencoder: noise in the code, so that only what survives it gets through.

Noise before a saturating code makes units all or none: Salakhutdinov & Hinton (2009), Semantic
Hashing, doi:10.1016/j.ijar.2008.11.006, section 3. Its bounded relative with a learned width of
the noise is the variational autoencoder. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class StochasticAutoencoder(nn.Module):
    """Gaussian noise of standard deviation ``std`` is added to the code before it is decoded.

    The encoder must be bounded (end it in a sigmoid or tanh): over an unbounded code a network
    would write louder until the noise does not matter. Only ``loss`` adds noise, in training and
    in eval mode.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x, 0, 1)``, ``unscaled(rows, 0, 1)``, ``shape``,
        ``finite(z)``. Pixels go to 0..1, so that a loss is in units of the full grey range.
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    std : float
        Of the noise, on the scale of the code.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> pixels = Levels((1, 2, 2), 17)
    >>> encoder = nn.Sequential(nn.Linear(4, 9), nn.Sigmoid())
    >>> model = StochasticAutoencoder(pixels, encoder, nn.Linear(9, 4))
    >>> model.loss(torch.randint(17, (5, 1, 2, 2))).shape
    torch.Size([5])
    """

    def __init__(self, data: object, encoder: nn.Module, decoder: nn.Module, std: float = 0.5):
        super().__init__()
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, got {std}")
        self.data, self.encoder, self.decoder = data, encoder, decoder
        self.std = std

    def _rows(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> rows (B, D), pixels in 0..1."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.data.rows(x, dtype, trusted=self.training)

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> code (B, d), without noise."""
        return self.encoder(self._rows(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, *shape) floats on the scale of the data."""
        rows = self.decoder(self.data.finite(z)).unflatten(1, self.data.shape)
        return self.data.unscaled(rows, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction through the code without noise, (B, *shape) floats."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows through a noisy code, summed over D, (B,).

        A noisy estimate of its mean over the noise; it has no unit of nats.
        """
        rows = self._rows(x)
        z = self.encoder(rows)
        return (self.decoder(z + self.std * torch.randn_like(z)) - rows).square().sum(1)
