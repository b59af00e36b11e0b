"""Principal component analysis: the few directions that keep most of the variance.

Pearson (1901), doi:10.1080/14786440109462720; Hotelling (1933), doi:10.1037/h0071325. Angles
between subspaces: Bjorck & Golub (1973), doi:10.1090/S0025-5718-1973-0348991-3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the column spaces of a (D, p) and b (D, q): (min(p, q),) radians, ascending.

    All zero when one space contains the other. Small angles come from their sines, which rounding
    spares: the arc cosine of nearly 1 would lose half of the digits.

    Raises ValueError when a or b is no matrix, or they live in different spaces.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in (*a.shape, *b.shape):
        raise ValueError(f"a and b are (D, p) and (D, q), got {tuple(a.shape)}, {tuple(b.shape)}")
    a, b = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    cosines = torch.linalg.svdvals(a.mT @ b).clamp(max=1)  # descending: smallest angle first
    sines = torch.linalg.svdvals(b - a @ (a.mT @ b)).clamp(max=1).flip(0)  # ascending
    return torch.where(cosines > 0.7, sines.asin(), cosines.acos())


class PCA(nn.Module):
    """Project x (B, *shape) on the ``latent_dim`` directions of largest variance, and back.

    Fit it with `start_from`; until then it keeps the first features. There is nothing to train:
    mean, axes and eigenvalues are buffers.

    Examples
    --------
    >>> model = PCA((3,), latent_dim=1)
    >>> model.start_from(torch.tensor([[1.0, 2, 2], [-1, -2, -2]]))
    >>> model.encode(torch.tensor([[2.0, 4, 4]]))  # the axis is (1, 2, 2) / 3
    tensor([[6.]])
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int):
        super().__init__()
        dims = math.prod(shape)
        if not 1 <= latent_dim <= dims:
            raise ValueError(f"latent_dim lies in 1 .. {dims} for shape {shape}, got {latent_dim}")
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("axes", torch.eye(dims)[:, :latent_dim].contiguous())
        self.register_buffer("eigenvalues", torch.ones(dims))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Fit to the rows of x (N, *shape): the mean, the axes, and all eigenvalues.

        By the singular values of the centred data: forming the covariance in float32 would lose
        the small eigenvalues. Each axis points to where its largest entry is positive.
        """
        rows = self._rows(x)
        centred = rows - rows.mean(0)
        few = len(rows) < rows.shape[1]  # then the directions have to be completed to D
        _, singular, directions = torch.linalg.svd(centred, full_matrices=few)  # rows: directions
        axes = directions[: self.latent_dim].T
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))  # (1, d)
        self.mean.copy_(rows.mean(0))
        self.axes.copy_(axes * largest.sign())
        self.eigenvalues.zero_()
        self.eigenvalues[: len(singular)] = singular.square() / len(rows)

    def encode(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> coordinates along the axes (B, latent_dim)."""
        return (self._rows(x) - self.mean) @ self.axes

    def decode(self, z: Tensor) -> Tensor:
        """Coordinates (B, latent_dim) -> x (B, *shape)."""
        return (self.mean + z @ self.axes.T).view(-1, *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction (B, *shape): x projected on the subspace."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared reconstruction error (B,), in squared units of x; no likelihood."""
        return (self._rows(x) - self.forward(x).flatten(1)).square().sum(1)

    def _rows(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, PCA expects (B, *{self.shape}), B > 0")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold finite floats for PCA, got {x.dtype} (NaN is refused)")
        return x.flatten(1)
