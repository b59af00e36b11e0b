"""How often each code is used, and how many equally used codes that amounts to.

Perplexity of a code: van den Oord et al. (2017), arXiv:1711.00937. Needs torch only.
"""

import torch
from torch import Tensor


def code_usage(codes: Tensor, n_codes: int) -> Tensor:
    """How often each of K codes occurs among codes (...), as shares (K,) that sum to 1.

    Count over a whole data set: a batch cannot use more codes than it has places.

    Raises
    ------
    ValueError
        codes are empty, no integers, or not in 0 .. K - 1.

    >>> code_usage(torch.tensor([[0, 0], [2, 0]]), n_codes=4)
    tensor([0.7500, 0.0000, 0.2500, 0.0000])
    """
    if codes.is_floating_point() or codes.numel() == 0:
        raise ValueError(f"codes must be integers, at least one; got {codes.dtype} {codes.shape}")
    if not 0 <= int(codes.min()) <= int(codes.max()) < n_codes:
        low, high = int(codes.min()), int(codes.max())
        raise ValueError(f"codes must lie in 0 .. {n_codes - 1}, got {low} .. {high}")
    counts = torch.bincount(codes.flatten().long(), minlength=n_codes)
    return counts / counts.sum()


def perplexity(usage: Tensor) -> Tensor:
    """exp of the entropy of shares (..., K): K if all are equal, 1 if one has all; (...).

    >>> perplexity(torch.tensor([0.5, 0.5, 0.0]))
    tensor(2.)
    """
    return torch.special.entr(usage).sum(-1).exp()
