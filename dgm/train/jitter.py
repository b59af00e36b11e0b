"""Small shifts, turns and scalings of integer images, for the first part of training only.

Resampling by an affine grid: Jaderberg et al. (2015), arXiv:1506.02025, section 3.3.
"""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


class Jitter:
    """Move some images a little, fewer and fewer until step ``until``: ``augment`` of `fit`.

    Moved images are not draws of the law of the data, so training must end without them. What a
    step does depends on the step and on torch's noise alone, so that training can be resumed.

    Parameters
    ----------
    levels : int
        Grey levels of the images.
    until : int
        From this step on, images are left alone; at least 1.
    shift, turn : float
        Standard deviations: of the shift in pixels, of the turn in radians. The scale varies by
        half of ``turn``.
    done : int
        Steps that came before, where training has more than one part.

    Examples
    --------
    >>> x = torch.randint(17, (5, 1, 8, 8), dtype=torch.uint8)
    >>> jitter = Jitter(17, until=100, shift=0.3, turn=0.1)
    >>> bool((jitter(x, 0) != x).any()), bool((jitter(x, 100) != x).any())
    (True, False)
    """

    def __init__(self, levels: int, until: int, shift: float, turn: float, done: int = 0):
        if levels < 2 or until < 1 or done < 0:
            raise ValueError(
                f"levels >= 2, until >= 1 and done >= 0 needed, got {levels}, {until} and {done}"
            )
        if not (shift >= 0 and turn >= 0):
            raise ValueError(f"shift and turn must be at least 0, got {shift} and {turn}")
        self.levels, self.until, self.shift, self.turn, self.done = levels, until, shift, turn, done

    def __call__(self, x: Tensor, step: int) -> Tensor:
        """x (B, C, H, W) integers -> the same, some of them moved."""
        share = max(0.0, 1 - (self.done + step + 1) / self.until) ** 0.5  # moved in this batch
        if share == 0:
            return x
        n, side = len(x), x.shape[-1]
        angle, scale = self.turn * torch.randn(n), 1 + 0.5 * self.turn * torch.randn(n)
        across, up = 2 / side * self.shift * torch.randn(2, n)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        maps = torch.stack((cos, -sin, across, sin, cos, up), 1).view(n, 2, 3).float().to(x.device)
        grid = affine_grid(maps, list(x.shape), align_corners=False)
        moved = grid_sample(x.float(), grid, mode="bicubic", align_corners=False)
        moved = moved.round().clamp(0, self.levels - 1).to(x.dtype)
        chosen = (torch.rand(n) < share).view(-1, 1, 1, 1).to(x.device)
        return torch.where(chosen, moved, x)
