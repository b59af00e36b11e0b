"""Which latent units carry information: the measure of posterior collapse.

Burda et al. (2016), arXiv:1509.00519, section 5.2 and appendix C. Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def activity(posterior: Callable, x: Tensor) -> Tensor:
    """A_u = Var_x(E_q[z_u]) for every unit u, (d,).

    ``posterior(x)`` must give q(z|x) with a ``mean`` (B, d). A unit that ignores x has the same
    mean for every x, and activity 0.
    """
    if len(x) < 2:
        raise ValueError(f"x must hold at least 2 examples, got {len(x)}")
    return posterior(x).mean.var(0)


def active_units(posterior: Callable, x: Tensor, threshold: float = 0.01) -> int:
    """How many units have an activity above ``threshold``, the usual 0.01."""
    if threshold <= 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    return int((activity(posterior, x) > threshold).sum())
