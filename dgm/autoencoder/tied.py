"""A tied autoencoder: the decoder uses the encoder's weights, transposed.

Vincent et al. (2010), JMLR 11, section 2.2 (https://jmlr.org/papers/v11/vincent10a.html): half the
parameters, and the encoder cannot shrink its weights into the straight part of the sigmoid while
the decoder blows its own up. Needs torch only.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


class TiedAutoencoder(nn.Module):
    """z = act(W_L ... act(W_1 x + b_1) ...) and back by the transposes, with biases of their own.

    Every layer but the last one back is followed by ``activation``.

    Note: it is the bounded activation that makes ties bite. With ReLU and twice as many units as
    inputs, W = [I; -I] copies every input exactly, tied or not.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x, 0, 1)``, ``unscaled(rows, 0, 1)``, ``shape``,
        ``finite(z)``. Pixels go to 0..1, so that a loss is in units of the full grey range.
    widths : tuple of int
        Sizes after the rows, the last of them that of the code.
    activation : nn.Module, optional
        Elementwise; a sigmoid when left out.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> pixels = Levels((1, 2, 2), 17)
    >>> model = TiedAutoencoder(pixels, (3, 2))
    >>> model(torch.randint(17, (5, 1, 2, 2))).shape
    torch.Size([5, 1, 2, 2])
    """

    def __init__(self, data: object, widths: tuple[int, ...], activation: nn.Module | None = None):
        super().__init__()
        if len(widths) < 1:
            raise ValueError(f"widths needs one or more positive sizes, got {tuple(widths)}")
        widths = (data.dims, *(data.count(width, "widths", least=1) for width in widths))
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.data, self.layers = data, nn.ModuleList(layers)
        self.back = nn.ParameterList(torch.zeros(size) for size in widths[:-1])  # biases
        self.activation = nn.Sigmoid() if activation is None else activation

    def _to_code(self, rows: Tensor) -> Tensor:
        for layer in self.layers:
            rows = self.activation(layer(rows))
        return rows

    def _to_rows(self, z: Tensor) -> Tensor:
        for k in reversed(range(len(self.layers))):
            z = z @ self.layers[k].weight + self.back[k]  # (B, out) @ (out, in)
            z = self.activation(z) if k > 0 else z
        return z

    def _rows(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> rows (B, D), pixels in 0..1."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.data.rows(x, dtype, trusted=self.training)

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> code (B, d)."""
        return self._to_code(self._rows(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, *shape) floats on the scale of the data."""
        rows = self._to_rows(self.data.finite(z)).unflatten(1, self.data.shape)
        return self.data.unscaled(rows, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, *shape), floats on the scale of the data."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows, summed over D, (B,). It has no unit of nats."""
        rows = self._rows(x)
        return (self._to_rows(self._to_code(rows)) - rows).square().sum(1)
