"""Two ways to estimate d/dtheta E_q[f(z)] for a Gaussian q: score function and reparameterisation.

Score function: Williams (1992), doi:10.1007/BF00992696; reparameterisation: Kingma and Welling
(2014), arXiv:1312.6114, section 2.4; leave-one-out baseline: Kool et al. (2019).
Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _check_gaussian(mean: Tensor, std: Tensor, n: int) -> None:
    if mean.ndim != 1 or len(mean) == 0 or std.shape != mean.shape:
        raise ValueError(
            f"mean and std must both be (d,) with d >= 1, got {tuple(mean.shape)}, "
            f"{tuple(std.shape)}"
        )
    if not (std > 0).all():
        raise ValueError(f"std must be above 0, got {std.min().item()}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")


@torch.no_grad()
def score_function_gradients(
    f: Callable[[Tensor], Tensor],
    mean: Tensor,
    std: Tensor,
    n: int,
    baseline: float | Tensor = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """n unbiased estimates (n, d) of the gradient of E[f(z)] in the mean: (f(z) - b) dlog q/dmean.

    Asks nothing of f (n, d) -> (n,) but its values. ``baseline`` is a number, or one for each
    coordinate (d,); the estimates stay unbiased as long as it does not depend on z.

    >>> estimates = score_function_gradients(lambda z: z[:, 0] * 0, torch.ones(1), torch.ones(1), 2)
    >>> estimates.abs().sum()
    tensor(0.)
    """
    _check_gaussian(mean, std, n)
    eps = mean.new_empty(n, len(mean)).normal_(generator=generator)
    score = eps / std  # (n, d), d log q / d mean at z = mean + std * eps
    return (f(mean + std * eps)[:, None] - baseline) * score


def reparameterised_gradients(
    f: Callable[[Tensor], Tensor],
    mean: Tensor,
    std: Tensor,
    n: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """n unbiased estimates (n, d) of the gradient of E[f(z)] in the mean: f'(mean + std * eps).

    Differentiates f, which must be smooth: with a jump in f the estimate is biased.

    >>> reparameterised_gradients(lambda z: 3 * z[:, 0], torch.ones(1), torch.ones(1), 2).flatten()
    tensor([3., 3.])
    """
    _check_gaussian(mean, std, n)
    eps = mean.new_empty(n, len(mean)).normal_(generator=generator)
    with torch.enable_grad():
        z = (mean + std * eps).detach().requires_grad_()
        return torch.autograd.grad(f(z).sum(), z)[0]  # dz/dmean = 1


@torch.no_grad()
def optimal_baseline(
    f: Callable[[Tensor], Tensor],
    mean: Tensor,
    std: Tensor,
    n: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The baseline of least variance for each coordinate, E[f score^2] / E[score^2], (d,).

    Estimated from n draws; use it with other draws, or it depends on z.
    """
    _check_gaussian(mean, std, n)
    eps = mean.new_empty(n, len(mean)).normal_(generator=generator)
    weight = (eps / std).square()
    return (f(mean + std * eps)[:, None] * weight).mean(0) / weight.mean(0)


def leave_one_out(values: Tensor) -> Tensor:
    """Values f(z_k) (K, ...) minus the mean of the other K - 1: a baseline that needs no model.

    >>> leave_one_out(torch.tensor([1.0, 2.0, 6.0]))
    tensor([-3.0000, -1.5000,  4.5000])
    """
    if len(values) < 2:
        raise ValueError(f"values must hold at least 2 draws, got {len(values)}")
    others = (values.sum(0) - values) / (len(values) - 1)
    return values - others
