"""Sparse codes to rounding: an iterative solver finds who is active, a linear system how much.

That support and signs fix the minimum of the lasso: Tibshirani (2013), arXiv:1206.0313, eq. 4.
Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _objective(x: Tensor, h: Tensor, dictionary: Tensor, penalty: float) -> Tensor:
    """|x - D h|^2 / 2 + penalty |h|_1, (B,)."""
    return 0.5 * (x - h @ dictionary.T).square().sum(1) + penalty * h.abs().sum(1)


@torch.no_grad()
def settle(x: Tensor, h: Tensor, dictionary: Tensor, penalty: float) -> Tensor:
    """What the minimum is if h (B, m) has its support and its signs; (B, m).

    With A the active atoms of an example, D_A^T (x - D_A h_A) = penalty sign(h_A) is a linear
    system. Where its solution has another sign somewhere, or is no better, h stays as it is.
    """
    # the k places of every example that may be active, padded by places that are not
    active = h != 0
    k = max(1, int(active.sum(1).max()))
    places = active.to(torch.uint8).topk(k, dim=1).indices  # (B, k)
    on, sign = active.gather(1, places), h.gather(1, places).sign()
    # the system of every example, with a 1 on the diagonal of the padding
    gram = (dictionary.T @ dictionary)[places[:, :, None], places[:, None]]  # (B, k, k)
    gram = gram * (on[:, :, None] & on[:, None])
    gram.diagonal(dim1=1, dim2=2).add_((~on).to(h.dtype))
    pull = on * ((x @ dictionary).gather(1, places) - penalty * sign)
    factor, failed = torch.linalg.cholesky_ex(gram)
    solved = torch.cholesky_solve(pull[:, :, None], factor)[:, :, 0]
    # kept where it has the signs that it was made for, and where it helps
    good = (failed == 0) & ((solved * sign > 0) | ~on).all(1)
    found = torch.zeros_like(h).scatter_(1, places, solved * on)
    before, after = (_objective(x, code, dictionary, penalty) for code in (h, found))
    return torch.where((good & (after <= before))[:, None], found, h)


@torch.no_grad()
def exact_codes(
    x: Tensor, dictionary: Tensor, penalty: float, code: Callable, gap: Callable, steps: int = 32,
    rounds: int = 20,
) -> Tensor:  # fmt: skip
    """Minima of |x - D h|^2 / 2 + penalty |h|_1 to rounding, h (B, m) for x (B, n), D (n, m).

    The first ``steps`` of ``code`` run in single precision, enough to see a support; `settle` does
    the rest. Examples that are not at their minimum then take twenty further steps, and so on for
    ``rounds``; what is left at the end, as where atoms are equal, is the code that ``code`` found.

    Parameters
    ----------
    code : callable
        Called as ``code(x, dictionary, penalty, steps, start)``, such as `fista`, whose bad-input
        errors are those of this function.
    gap : callable
        ``gap(x, h, dictionary, penalty)``, (B,): how far from optimal, such as `kkt_gap`.

    Examples
    --------
    >>> from dgm.linear.sparse_coding import fista, kkt_gap
    >>> exact_codes(torch.tensor([[2.0, 0.05]]), torch.eye(2), 0.1, fista, kkt_gap)
    tensor([[1.9000, 0.0000]])
    """
    h = code(x.float(), dictionary.float(), penalty, steps, None).to(x.dtype)
    rounding = 64 * torch.finfo(x.dtype).eps * (x @ dictionary).abs().amax(1).clamp_min(penalty)
    todo = torch.arange(len(x), device=x.device)
    for i in range(rounds):
        part, guess = x[todo], h[todo]
        guess = code(part, dictionary, penalty, 20, guess) if i else guess
        guess = settle(part, guess, dictionary, penalty)
        h[todo] = guess
        todo = todo[gap(part, guess, dictionary, penalty) > rounding[todo]]
        if not len(todo):
            break
    return h
