"""Two numbers that say how much a filter looks like an edge: its place and its orientation.

The energy-weighted mean of doubled angles is the structure tensor of Bigun & Granlund (1987), taken
over the spectrum. Needs torch only.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d


def localisation(filters: Tensor) -> Tensor:
    """Share of the energy of each filter (N, 1, H, W) in its best window of half the size, (N,).

    1 for a dot, near 1/4 for a wave that fills the patch.
    """
    energy = _energy(filters)
    window = max(1, filters.shape[2] // 2), max(1, filters.shape[3] // 2)
    best = avg_pool2d(energy, window, 1).amax((1, 2, 3)) * window[0] * window[1]
    return best / energy.sum((1, 2, 3))


def orientation(filters: Tensor, size: int = 32) -> Tensor:
    """How far the spectrum of each filter (N, 1, H, W) agrees on one orientation, (N,).

    1 for a grating, 0 for a dot; two crossed gratings of equal strength also give 0.
    """
    _energy(filters)
    power = torch.fft.fft2(filters[:, 0], s=(size, size)).abs().square()
    power[:, 0, 0] = 0  # a constant has no orientation
    frequency = torch.fft.fftfreq(size).to(power)
    angle = torch.atan2(frequency[:, None], frequency[None, :])
    turned = torch.complex((2 * angle).cos(), (2 * angle).sin())  # a wave and its mirror are one
    total = power.sum((1, 2)).clamp_min(1e-12)
    return (power * turned).sum((1, 2)).abs() / total


def _energy(filters: Tensor) -> Tensor:
    if filters.ndim != 4 or filters.shape[1] != 1 or 0 in filters.shape:
        raise ValueError(f"filters must be (N > 0, 1, H, W), got {tuple(filters.shape)}")
    if not torch.isfinite(filters).all() or (filters == 0).flatten(1).all(1).any():
        raise ValueError("filters must be finite, and none may be all zeros")
    return filters.square()
