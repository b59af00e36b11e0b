"""Images moved by whole pixels, fewer and fewer, for the first part of training only.

Whole pixels keep the grey levels of every stroke as they are; resampling (jitter.py) does not.
Translated training examples: Simard, Steinkraus and Platt (2003), doi:10.1109/ICDAR.2003.1227801.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


class WholeShifts:
    """Move some images by -1, 0 or 1 pixels each way until step ``until``: ``augment`` of `fit`.

    What comes in from outside is level 0. As for `Jitter`, what a step does depends on the step and
    on torch's noise alone, and training must end without moved images.

    Parameters
    ----------
    until : int
        From this step on, images are left alone; at least 1.

    Examples
    --------
    >>> x = torch.randint(1, 5, (6, 1, 4, 4), dtype=torch.uint8)
    >>> shifts = WholeShifts(until=100)
    >>> bool((shifts(x, 0) != x).any()), bool((shifts(x, 100) != x).any())
    (True, False)
    """

    def __init__(self, until: int):
        if until < 1:
            raise ValueError(f"until must be at least 1, got {until}")
        self.until = until

    def __call__(self, x: Tensor, step: int) -> Tensor:
        """x (B, C, H, W) integers -> the same, some of them moved."""
        share = max(0.0, 1 - (step + 1) / self.until) ** 0.5  # moved in this batch
        if share == 0:
            return x
        (n, _, height, width), framed = x.shape, pad(x, (1, 1, 1, 1))
        by = torch.randint(-1, 2, (n, 2))
        by[torch.rand(n) >= share] = 0
        rows = 1 - by[:, :1] + torch.arange(height)  # (B, H) of the framed image
        columns = 1 - by[:, 1:] + torch.arange(width)
        which = torch.arange(n)[:, None, None]
        moved = framed.movedim(1, -1)[which, rows[:, :, None], columns[:, None]]  # (B, H, W, C)
        return moved.movedim(-1, 1)
