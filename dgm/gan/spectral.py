"""Weights divided by their largest singular value, which one step of a power iteration follows.

Miyato et al. (2018), arXiv:1802.05957, algorithm 1: weight matrices of layers (a convolution's as a
matrix of its outputs). Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize


class SpectralWeight(nn.Module):
    """W -> W / s(W); the vector that finds s is a buffer and moves in training mode alone.

    Parameters
    ----------
    weight : the matrix (rows, ...) it starts from; steps : of the iteration, each time.
    """

    def __init__(self, weight: Tensor, steps: int = 1):
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.steps = steps
        self.register_buffer("left", normalize(torch.randn(len(weight)), dim=0))
        with torch.no_grad():
            self._iterate(weight.flatten(1), 15)

    def _iterate(self, rows: Tensor, steps: int) -> None:
        for _ in range(steps):
            right = normalize(rows.T @ self.left, dim=0)
            self.left = normalize(rows @ right, dim=0)

    def forward(self, weight: Tensor) -> Tensor:
        """Weight (rows, ...) -> the same shape, its largest singular value near one."""
        rows = weight.flatten(1)
        if self.training:
            with torch.no_grad():
                self._iterate(rows.detach(), self.steps)
        left = self.left.clone()  # a later call in training must not change this one's gradient
        right = normalize(rows.detach().T @ left, dim=0)
        return weight / (left @ rows @ right)


def spectrally_normalised(net: nn.Module) -> nn.Module:
    """Every linear and convolutional weight of ``net`` under a `SpectralWeight`; gives net back.

    >>> net = spectrally_normalised(nn.Linear(5, 3))
    >>> bool((torch.linalg.matrix_norm(net.weight, 2) - 1).abs() < 0.05)
    True
    """
    for layer in list(net.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            parametrize.register_parametrization(layer, "weight", SpectralWeight(layer.weight))
    return net
