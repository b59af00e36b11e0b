"""An optimiser that leaves out steps with a huge gradient.

Child (2021), arXiv:2011.10650, section 4.1: rare batches of a deep VAE have gradients many orders
above the usual, and clipping would still follow their direction. Needs torch only.
"""

import torch
from torch.optim import AdamW


class SkippingAdamW(AdamW):
    """AdamW that clips the norm of the gradient at ``clip`` and takes no step above ``skip``.

    A gradient that is not finite is skipped too; ``skipped`` counts.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = SkippingAdamW([w], lr=0.1, clip=1.0, skip=50.0)
    >>> (1000 * w).sum().backward()
    >>> optimizer.step()
    >>> w.item(), optimizer.skipped
    (1.0, 1)
    """

    def __init__(
        self, params: object, lr: float, clip: float, skip: float, weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
    ):  # fmt: skip
        if not 0 < clip <= skip:
            raise ValueError(f"clip and skip must be 0 < clip <= skip, got {clip} and {skip}")
        super().__init__(params, lr=lr, weight_decay=weight_decay, betas=betas)
        self.clip, self.skip, self.skipped = clip, skip, 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step, or none."""
        weights = [p for group in self.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(weights, self.clip)
        if norm <= self.skip:  # never true of NaN
            super().step()
        else:
            self.skipped += 1
