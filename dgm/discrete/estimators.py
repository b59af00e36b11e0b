"""Gradients of E_q[f(z)] in the logits of a categorical q: enumerated, relaxed, by the score.

Score function: Williams (1992), doi:10.1007/BF00992696; leave-one-out baseline: Kool, van Hoof and
Welling (2019); relaxed draws: Jang et al. (2017), arXiv:1611.01144. Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

MOST_STATES = 100_000


def _require_logits(logits: Tensor, n: int = 1) -> None:
    if logits.ndim != 2 or logits.numel() == 0:
        raise ValueError(f"logits must be (variables, values), got {tuple(logits.shape)}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")


def all_codes(n_variables: int, n_values: int) -> Tensor:
    """Every row of codes, (values^variables, variables) integers.

    Raises
    ------
    ValueError
        There are more than 100,000.

    >>> all_codes(2, 2).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if min(n_variables, n_values) < 1 or n_values**n_variables > MOST_STATES:
        got = f"{n_values}^{n_variables}"
        raise ValueError(f"n_values^n_variables must be at most {MOST_STATES}, got {got}")
    values = [torch.arange(n_values)] * n_variables
    return torch.cartesian_prod(*values).view(-1, n_variables)


@torch.no_grad()
def enumerated_gradient(f: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """The exact gradient (n, K) of E[f(z)] in logits (n, K): sum of q(z) f(z) (z - p).

    f maps one-hot rows (N, n, K) to (N,).
    """
    _require_logits(logits)
    n, values = logits.shape
    codes, log_p = all_codes(n, values).to(logits.device), logits.log_softmax(-1)
    z = one_hot(codes, values).to(logits.dtype)  # (N, n, K)
    weight = (z * log_p).sum((1, 2)).exp() * f(z)
    return ((z - log_p.exp()) * weight[:, None, None]).sum(0)


def relaxed_gradients(
    f: Callable[[Tensor], Tensor],
    logits: Tensor,
    n: int,
    relax: Callable[..., Tensor],
    generator: torch.Generator | None = None,
) -> Tensor:
    """n estimates (n, variables, K) of the same, through relaxed draws; biased.

    ``relax(logits, generator)`` draws with a gradient, a `GumbelSoftmax`.
    """
    _require_logits(logits, n)
    with torch.enable_grad():
        many = logits.detach().expand(n, -1, -1).clone().requires_grad_()
        return torch.autograd.grad(f(relax(many, generator)).sum(), many)[0]


@torch.no_grad()
def leave_one_out_gradients(
    f: Callable[[Tensor], Tensor],
    logits: Tensor,
    n: int,
    k: int = 4,
    generator: torch.Generator | None = None,
) -> Tensor:
    """n estimates (n, variables, K) of the same by the score function, k draws each; unbiased.

    Each draw's value is held against the mean of the other k - 1; k = 1 has no baseline.
    """
    _require_logits(logits, n)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    p = logits.softmax(-1)
    codes = p.multinomial(n * k, replacement=True, generator=generator).T  # (n k, variables)
    z = one_hot(codes, logits.shape[1]).to(logits.dtype)
    value = f(z).view(n, k)
    if k > 1:
        value = value - (value.sum(1, keepdim=True) - value) / (k - 1)
    score = (z - p).unflatten(0, (n, k))
    return (value[:, :, None, None] * score).mean(1)
