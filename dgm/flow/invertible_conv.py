"""Invertible 1x1 convolution: one matrix mixes the channels of every pixel; LU makes its det free.

Kingma and Dhariwal (2018), Glow, arXiv:1807.03039, eqs. 9-11. Needs torch only.
"""

import torch
from torch import Tensor, nn


class InvertibleConv1x1(nn.Module):
    """z[:, :, i, j] = W x[:, :, i, j] with W = P L (U + diag(d)), starting from a random rotation.

    P is a fixed permutation, L unit lower and U strictly upper triangular; d keeps its signs and
    learns its logarithm, so W can never become singular. Works on (B, C) features too.
    """

    def __init__(self, channels: int):
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        scale = upper.diagonal()
        self.lower, self.upper = nn.Parameter(lower), nn.Parameter(upper)
        self.log_scale = nn.Parameter(scale.abs().log())
        self.register_buffer("sign", scale.sign())
        self.register_buffer("permutation", permutation)

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.diag(torch.ones_like(self.log_scale))
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())

    def weight(self) -> Tensor:
        """The matrix W, (C, C)."""
        lower, upper = self._factors()
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| = positions * sum log|d| (B,), nats."""
        positions = x[0, 0].numel()
        z = torch.einsum("ij,bj...->bi...", self.weight(), x)
        return z, (positions * self.log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...) by two triangular solves, no matrix inverse."""
        lower, upper = self._factors()
        columns = self.permutation.T @ z.transpose(0, 1).flatten(1)  # (C, B * H * W)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        return columns.unflatten(1, (len(z), *z.shape[2:])).transpose(0, 1)
