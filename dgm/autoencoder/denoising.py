"""Denoising autoencoders: corrupt the input, ask for the clean one; the residual is a score.

Vincent et al. (2008), doi:10.1145/1390156.1390294; Vincent (2011), doi:10.1162/NECO_a_00142, and
Alain & Bengio (2014), arXiv:1211.4246, theorem 1, for the score. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class GaussianCorruption(nn.Module):
    """Add Gaussian noise of standard deviation ``std`` to every entry."""

    def __init__(self, std: float):
        super().__init__()
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, got {std}")
        self.std = std

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (B, D) -> corrupted rows (B, D)."""
        return rows + self.std * torch.randn_like(rows)


class MaskingCorruption(nn.Module):
    """Set each entry to zero with probability ``share``."""

    def __init__(self, share: float):
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share}")
        self.share = share

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (B, D) -> corrupted rows (B, D)."""
        return rows * (torch.rand_like(rows) >= self.share)


class SaltAndPepper(nn.Module):
    """Set each entry to 0 or 1, at random, with probability ``share``."""

    def __init__(self, share: float):
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be a probability, more than 0 and below 1, got {share}")
        self.share = share

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (B, D) -> corrupted rows (B, D)."""
        u = torch.rand_like(rows)
        extreme = (u < self.share / 2).to(rows.dtype)
        return torch.where(u < self.share, extreme, rows)


class DenoisingAutoencoder(nn.Module):
    """The decoder must give back the clean rows from the code of the corrupted ones.

    Only ``loss`` corrupts, in training and in eval mode; ``encode`` and ``forward`` never do.

    Parameters
    ----------
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    scaling : nn.Module
        Data as stored to rows (B, D), with ``inverse``; the noise is on the scale of the rows.
    corruption : nn.Module
        Rows -> corrupted rows.

    Examples
    --------
    >>> rows = nn.Identity()
    >>> rows.inverse = lambda h: h
    >>> model = DenoisingAutoencoder(nn.Linear(2, 9), nn.Linear(9, 2), rows, GaussianCorruption(1))
    >>> model.loss(torch.randn(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, scaling: nn.Module, corruption: nn.Module
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.scaling, self.corruption = scaling, corruption

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, ...) -> code (B, d), without noise."""
        return self.encoder(self.scaling(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, ...) floats on the scale of the data."""
        return self.scaling.inverse(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of x as it is, without more noise, (B, ...) floats."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error between the clean rows and the decoded corrupted ones, summed over D, (B,).

        A noisy estimate of its mean over the noise; it has no unit of nats.
        """
        rows = self.scaling(x)
        return (self.decoder(self.encoder(self.corruption(rows))) - rows).square().sum(1)


def residual_score(model: nn.Module, x: Tensor, std: float) -> Tensor:
    """(r(x) - x) / std^2 of a model trained on Gaussian noise, like x.

    For the best r it is the gradient of log p_std, the data's density blurred by that noise, at
    every noise level: r(x) = E[clean | x] = x + std^2 * grad log p_std(x) (Miyasawa 1961; Vincent
    2011). ``std`` is on the scale of x.
    """
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    return (model(x) - x) / std**2


def wiener_map(covariance: Tensor, std: float) -> Tensor:
    """The linear map A = C (C + std^2 I)^-1 that denoises centred data best, (D, D), exact.

    It shrinks a direction of variance v by v / (v + std^2). Wiener (1949).
    """
    shape = tuple(covariance.shape)
    square = len(shape) == 2 and shape[0] == shape[1]
    if not square or not torch.allclose(covariance, covariance.T, atol=1e-5):
        raise ValueError(f"covariance must be a symmetric matrix, got shape {shape}")
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    noisy = covariance + std**2 * torch.eye(len(covariance)).to(covariance)
    return torch.linalg.solve(noisy, covariance).T  # both are symmetric and commute
