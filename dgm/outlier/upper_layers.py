"""The upper layers' bound: what a hierarchy says when its low layers come from the prior.

Maaloe et al. (2019), arXiv:1902.02102, section 3, eq. 12; as a difference: Havtorn et al. (2021),
arXiv:2102.08248, eq. 8. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def upper_bound(model: nn.Module, x: Tensor, k: int, draws: int = 4) -> Tensor:
    """L^{>k} (B,) nats, mean of ``draws``: the lowest k layers are drawn from the prior.

    ``model`` has ``bound_above(x, k)``; k = 0 is its ELBO.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    return torch.stack([model.bound_above(x, k) for _ in range(draws)]).mean(0)


def low_layers_say(model: nn.Module, x: Tensor, k: int, draws: int = 4) -> Tensor:
    """ELBO - L^{>k} (B,) nats: what the lowest k layers say of x that the others do not foresee."""
    return upper_bound(model, x, 0, draws) - upper_bound(model, x, k, draws)
