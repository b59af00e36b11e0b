"""The uniform (Haar) law on the rotations of space: a prior on SO(3).

Shoemake (1992), Graphics Gems III; Falorsi et al. (2019), arXiv:1903.02958. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class UniformRotation(nn.Module):
    """All rotations alike; a measure of volume 8 pi^2. Moves with ``.to(device)``.

    Examples
    --------
    >>> UniformRotation().log_prob(torch.eye(3)[None])  # -log(8 pi^2)
    tensor([-4.3689])
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # device and dtype

    def log_prob(self, z: Tensor) -> Tensor:
        """Rotations z (B, 3, 3) -> minus the log of the volume (B,), nats."""
        if z.ndim != 3 or z.shape[1:] != (3, 3):
            raise ValueError(f"z must have shape (B, 3, 3), got {tuple(z.shape)}")
        return z.new_full((len(z),), -math.log(8 * math.pi**2))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, 3, 3): a uniform point of the sphere of R^4 is a quaternion."""
        if not hasattr(n, "__index__") or n < 0:
            raise ValueError(f"n must be a whole number of at least 0, got {n!r}")
        like = dict(dtype=self.anchor.dtype, device=self.anchor.device)
        q = nn.functional.normalize(torch.randn(n, 4, generator=generator, **like), dim=1)
        w, x, y, z = q.unbind(1)
        rows = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        return torch.stack([torch.stack(row, 1) for row in rows], 1)
