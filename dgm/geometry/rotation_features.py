"""What a decoder reads off a rotation: all products of its nine numbers, a Fourier series on SO(3).

Falorsi et al. (2018), arXiv:1807.04689, section 3.3 (decoders by group representations). The
products up to degree L span the representations of order up to L, as by Peter and Weyl. Needs torch
only.
"""

import itertools

import torch
from torch import Tensor, nn


class RotationFeatures(nn.Module):
    """R (..., 3, 3) -> the products of up to ``degree`` of its nine numbers, (..., n_features).

    A linear map of these can make every function of the rotation of bounded frequency, and no
    other: a decoder that has little else cannot crumple the group.

    Examples
    --------
    >>> features = RotationFeatures(2)
    >>> features.n_features, features(torch.eye(3)[None]).shape
    (54, torch.Size([1, 54]))
    """

    def __init__(self, degree: int):
        super().__init__()
        if not hasattr(degree, "__index__") or not 1 <= degree <= 4:
            raise ValueError(f"degree must be 1, 2, 3 or 4, got {degree!r}")
        sets = [
            list(itertools.combinations_with_replacement(range(9), d))
            for d in range(1, degree + 1)
        ]
        self.n_features = sum(map(len, sets))
        for d, picks in enumerate(sets, 1):
            self.register_buffer(f"picks_{d}", torch.tensor(picks), persistent=False)
        self.degree = degree

    def forward(self, r: Tensor) -> Tensor:
        """Rotations (..., 3, 3) -> (..., n_features)."""
        numbers = r.flatten(-2)
        parts = [
            numbers[..., getattr(self, f"picks_{d}")].prod(-1) for d in range(1, self.degree + 1)
        ]
        return torch.cat(parts, -1)
