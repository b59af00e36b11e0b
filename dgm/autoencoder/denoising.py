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
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x, 0, 1)``, ``unscaled(rows, 0, 1)``, ``shape``,
        ``finite(z)``. Pixels go to 0..1, so that a loss is in units of the full grey range.
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    corruption : nn.Module
        Rows -> corrupted rows; the noise is on the scale of the rows.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> pixels = Levels((1, 2, 2), 17)
    >>> noise = GaussianCorruption(0.4)
    >>> model = DenoisingAutoencoder(pixels, nn.Linear(4, 9), nn.Linear(9, 4), noise)
    >>> model.loss(torch.randint(17, (5, 1, 2, 2))).shape
    torch.Size([5])
    """

    def __init__(self, data: object, encoder: nn.Module, decoder: nn.Module, corruption: nn.Module):
        super().__init__()
        self.data, self.encoder, self.decoder = data, encoder, decoder
        self.corruption = corruption

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
        """Reconstruction of x as it is, without more noise, (B, *shape) floats."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error between the clean rows and the decoded corrupted ones, summed over D, (B,).

        A noisy estimate of its mean over the noise; it has no unit of nats.
        """
        rows = self._rows(x)
        return (self.decoder(self.encoder(self.corruption(rows))) - rows).square().sum(1)


def residual_score(model: nn.Module, x: Tensor, std: float) -> Tensor:
    """(r(x) - x) / std^2 of a model trained on Gaussian noise, like x.

    For the best r it is the gradient of log p_std, the data's density blurred by that noise, at
    every noise level: r(x) = E[clean | x] = x + std^2 * grad log p_std(x) (Miyasawa 1961; Vincent
    2011). ``std`` is on the scale of x.
    """
    if not 0 < std < math.inf:
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
    if not 0 < std < math.inf:
        raise ValueError(f"std must be positive, got {std}")
    noisy = covariance + std**2 * torch.eye(len(covariance)).to(covariance)
    return torch.linalg.solve(noisy, covariance).T  # both are symmetric and commute
