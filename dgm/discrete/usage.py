"""How often each code is used, and how many equally used codes that amounts to.

Perplexity of a code: van den Oord et al. (2017), arXiv:1711.00937. Needs torch only.
"""

import math

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


def bit_shares(terms: dict[str, Tensor], dims: int) -> dict[str, Tensor]:
    """The two parts of a bound in bits per dimension of the data, (B,) each: what is paid for what.

    ``terms`` are those of a `VQVAE`, "reconstruction" and "kl" in nats; ``dims`` is the number of
    values in one x, pixels say, not that of its codes. "codes" + "decoder" is the whole.

    Raises
    ------
    ValueError
        dims is no whole number of at least 1.

    >>> bit_shares({"reconstruction": torch.tensor([-6.9315]), "kl": torch.tensor([1.3863])}, 2)
    {'codes': tensor([1.0000]), 'decoder': tensor([5.0000])}
    """
    if isinstance(dims, bool) or not isinstance(dims, int) or dims < 1:
        raise ValueError(f"dims must be a whole number of at least 1, got {dims!r}")
    nat = dims * math.log(2)
    return {"codes": terms["kl"] / nat, "decoder": -terms["reconstruction"] / nat}
