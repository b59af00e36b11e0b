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
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    scaling : nn.Module
        Data as stored to rows (B, D), with ``inverse``.
    std : float
        Of the noise, on the scale of the code.

    Examples
    --------
    >>> rows = nn.Identity()
    >>> rows.inverse = lambda h: h
    >>> encoder = nn.Sequential(nn.Linear(4, 9), nn.Sigmoid())
    >>> StochasticAutoencoder(encoder, nn.Linear(9, 4), rows).loss(torch.randn(5, 4)).shape
    torch.Size([5])
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, scaling: nn.Module, std: float = 0.5
    ):
        super().__init__()
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, got {std}")
        self.encoder, self.decoder = encoder, decoder
        self.scaling, self.std = scaling, std

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, ...) -> code (B, d), without noise."""
        return self.encoder(self.scaling(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, ...) floats on the scale of the data."""
        return self.scaling.inverse(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction through the code without noise, (B, ...) floats."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows through a noisy code, summed over D, (B,).

        A noisy estimate of its mean over the noise; it has no unit of nats.
        """
        rows = self.scaling(x)
        z = self.encoder(rows)
        return (self.decoder(z + self.std * torch.randn_like(z)) - rows).square().sum(1)
