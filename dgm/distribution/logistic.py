"""The standard logistic of any shape: heavier tails than a normal, and a CDF in closed form.

Used as the base of NICE: Dinh et al. (2015), arXiv:1410.8516, section 3.4. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class StandardLogistic(nn.Module):
    """Independent logistic(0, 1) in every dimension of ``shape``; moves with ``.to(device)``.

    >>> StandardLogistic((1,)).log_prob(torch.zeros(1, 1))  # density 1/4 at the centre
    tensor([-1.3863])
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)
        anchor = torch.zeros(())  # carries device and dtype
        self.register_buffer("anchor", anchor, persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, *shape) -> exact log density (B,), nats."""
        return (logsigmoid(z) + logsigmoid(-z)).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws, (n, *shape); a ``generator`` lies on the module's device."""
        if not hasattr(n, "__index__") or n < 0:
            raise ValueError(f"n must be a whole number of at least 0, got {n!r}")
        like = dict(dtype=self.anchor.dtype, device=self.anchor.device)
        uniform = torch.rand(n, *self.shape, generator=generator, **like)
        return torch.logit(uniform, eps=1e-7)
