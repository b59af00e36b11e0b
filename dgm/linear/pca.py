"""Principal component analysis: the few directions that keep most of the variance.

Pearson (1901), doi:10.1080/14786440109462720; Hotelling (1933), doi:10.1037/h0071325. Needs torch
only.
"""

import torch
from torch import Tensor, nn


class PCA(nn.Module):
    """Project x (B, *shape) on the ``latent_dim`` directions of largest variance, and back.

    Parameters
    ----------
    data : Reals (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``finite(z)``, ``count(n)``.
    latent_dim : int
        Directions kept, of x's D = dims.

    Notes
    -----
    Until `fit_to` it keeps the first features. There is nothing to train: mean, axes and
    eigenvalues are buffers. Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model = PCA(Reals((3,)), latent_dim=1)
    >>> model = model.fit_to(torch.tensor([[1.0, 2, 2], [-1, -2, -2]]))
    >>> model.encode(torch.tensor([[2.0, 4, 4]]))  # the axis is (1, 2, 2) / 3
    tensor([[6.]])
    """

    def __init__(self, data: object, latent_dim: int):
        super().__init__()
        dims = data.dims
        if data.count(latent_dim, "latent_dim", least=1) > dims:
            raise ValueError(f"latent_dim lies in 1 .. {dims}, got {latent_dim}")
        self.data, self.latent_dim = data, latent_dim
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("axes", torch.eye(dims)[:, :latent_dim].contiguous())
        self.register_buffer("eigenvalues", torch.ones(dims))

    @torch.no_grad()
    def fit_to(self, x: Tensor) -> "PCA":
        """The mean, the axes, and all eigenvalues of the rows of x (N, *shape), in place; self.

        By the singular values of the centred data: forming the covariance in float32 would lose
        the small eigenvalues. Each axis points to where its largest entry is positive.
        """
        rows = self.data.check(x).flatten(1)
        centred = rows - rows.mean(0)
        few = len(rows) < rows.shape[1]  # then the directions have to be completed to D
        _, singular, directions = torch.linalg.svd(centred, full_matrices=few)  # rows: directions
        axes = directions[: self.latent_dim].T
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))  # (1, d)
        self.mean.copy_(rows.mean(0))
        self.axes.copy_(axes * largest.sign())
        self.eigenvalues.zero_()
        self.eigenvalues[: len(singular)] = singular.square() / len(rows)
        return self

    def encode(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> coordinates along the axes (B, latent_dim)."""
        x = self.data.check(x, trusted=self.training)
        return (x.flatten(1) - self.mean) @ self.axes

    def decode(self, z: Tensor) -> Tensor:
        """Coordinates (B, latent_dim) -> x (B, *shape)."""
        return (self.mean + self.data.finite(z) @ self.axes.T).view(-1, *self.data.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction (B, *shape): x projected on the subspace."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared reconstruction error (B,), in squared units of x; no likelihood."""
        return (x - self.forward(x)).square().flatten(1).sum(1)
