"""A decoder that turns an object: learned coloured points, rotated by the code and looked at.

A decoder by a group's action, as in Falorsi et al. (2018), arXiv:1807.04689, section 3.3; what
hides what is decided softly, by depth. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class TurnedPoints(nn.Module):
    """R (B, 3, 3) -> a picture of N learned points under the rotation R: shifts and log scales.

    The rotation acts on the points and on nothing else, so that codes R and pictures turn
    together. Own methods: ``scene``.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) of the picture, which shows -1.45 .. 1.45 both ways.
    n_points : int
        N.

    Raises
    ------
    ValueError
        A shape that is no (C, H, W), or no points.

    Examples
    --------
    >>> TurnedPoints((3, 4, 5), n_points=2)(torch.eye(3)[None]).shape
    torch.Size([1, 3, 4, 5, 2])
    """

    def __init__(self, shape: tuple[int, ...], n_points: int = 16):
        super().__init__()
        if len(shape) != 3 or n_points < 1:
            raise ValueError(f"shape must be (C, H, W), n_points >= 1; got {shape} and {n_points}")
        self.shape = tuple(shape)
        self.points = nn.Parameter(0.6 * torch.randn(n_points, 3))
        self.colors = nn.Parameter(0.3 * torch.randn(n_points, shape[0]))
        self.log_width = nn.Parameter(torch.full((n_points,), -0.9))
        self.log_strength = nn.Parameter(torch.ones(n_points))
        self.depth = nn.Parameter(torch.full((), 0.5))  # how sharply the nearer hides the farther
        self.ground = nn.Parameter(torch.zeros(shape[0]))
        self.log_scale = nn.Parameter(torch.zeros(shape[0]))

    def scene(self, r: Tensor) -> Tensor:
        """Rotations (B, 3, 3) -> pictures (B, C, H, W): colours above the ground."""
        places = self.points @ r.mT  # (B, N, 3)
        like = dict(dtype=r.dtype, device=r.device)
        x, y = (torch.linspace(-1.45, 1.45, n, **like) for n in (self.shape[2], self.shape[1]))
        across = (x - places[..., :1]).square()  # (B, N, W)
        down = (-y - places[..., 1:2]).square()  # (B, N, H)
        narrow = 0.5 * (-2 * self.log_width).exp()[:, None]
        nearer = self.log_strength + 2 * softplus(self.depth) * places[..., 2]  # (B, N)
        weight = (nearer[..., None] - narrow * down).exp()[..., None]
        weight = weight * (-narrow * across).exp()[..., None, :]  # (B, N, H, W)
        return torch.einsum(
            "bnhw,nc->bchw", weight / (1 + weight.sum(1, keepdim=True)), self.colors
        )

    def forward(self, r: Tensor) -> Tensor:
        """Rotations (B, 3, 3) -> (B, C, H, W, 2): shifts, log scales."""
        shift = self.scene(r) + self.ground[:, None, None]
        log_scale = self.log_scale[:, None, None].expand_as(shift)
        return torch.stack((shift, log_scale), -1)
