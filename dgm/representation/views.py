"""Two looks at one picture: moved a little, turned, scaled, brightened, with noise.

What a contrastive learner is told to ignore: Chen, Kornblith, Norouzi and Hinton (2020), SimCLR,
arXiv:2002.05709, section 3; resampling by an affine grid: Jaderberg et al. (2015),
arXiv:1506.02025, section 3.3. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample


class Views(nn.Module):
    """A random look at each of scaled pictures u (B, C, H, W); other noise, another look.

    Parameters
    ----------
    shift : deviation of the shift in pixels.
    turn : deviation of the turn in radians.
    scale : deviation of the log of the size.
    gain : deviation of the log of the contrast.
    noise : deviation of the noise of each pixel.

    Examples
    --------
    >>> Views()(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self, shift: float = 0.7, turn: float = 0.2, scale: float = 0.1, gain: float = 0.2,
        noise: float = 0.1,
    ):  # fmt: skip
        super().__init__()
        self.spread = dict(shift=shift, turn=turn, scale=scale, gain=gain, noise=noise)
        for name, value in self.spread.items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")

    def forward(self, u: Tensor) -> Tensor:
        """u (B, C, H, W), its background at the lowest value -1 -> the same shape, not clipped."""
        s, n, side = self.spread, len(u), u.shape[-1]
        turn, size, gain = (torch.randn(n).to(u) * s[k] for k in ("turn", "scale", "gain"))
        across, up = torch.randn(2, n).to(u) * (2 / side * s["shift"])
        # the map from where a pixel is to where it was
        cos, sin = turn.cos() * size.exp(), turn.sin() * size.exp()
        maps = torch.stack((cos, -sin, across, sin, cos, up), 1).view(n, 2, 3)
        grid = affine_grid(maps, list(u.shape), align_corners=False)
        moved = grid_sample(u + 1, grid, mode="bilinear", align_corners=False)
        noise = s["noise"] * torch.randn(u.shape).to(u)
        return moved * gain.exp().view(n, 1, 1, 1) - 1 + noise
