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
    widths : (D, ..., d)
        Sizes from the rows to the code.
    scaling : nn.Module
        Data as stored to rows (B, D), with ``inverse``.
    activation : nn.Module, optional
        Elementwise; a sigmoid when left out.

    Examples
    --------
    >>> rows = nn.Identity()
    >>> rows.inverse = lambda h: h
    >>> model = TiedAutoencoder((4, 3, 2), rows)
    >>> model(torch.randn(5, 4)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self, widths: tuple[int, ...], scaling: nn.Module, activation: nn.Module | None = None
    ):
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths needs two or more positive sizes, got {tuple(widths)}")
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.layers, self.scaling = nn.ModuleList(layers), scaling
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

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, ...) -> code (B, d)."""
        return self._to_code(self.scaling(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, ...) floats on the scale of the data."""
        return self.scaling.inverse(self._to_rows(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, ...), floats on the scale of the data."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows, summed over D, (B,). It has no unit of nats."""
        rows = self.scaling(x)
        return (self._to_rows(self._to_code(rows)) - rows).square().sum(1)
