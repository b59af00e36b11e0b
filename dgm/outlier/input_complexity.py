"""Input complexity: a model's bits against those of a code that knows no training data.

Serra et al. (2020), arXiv:1909.11480, eq. 2: S = -log2 p(x) - L(x). Filters: PNG specification,
section 9; the predictor: Weinberger et al. (2000), LOCO-I, section III; codes with imagined counts:
Krichevsky and Trofimov (1981), doi:10.1109/TIT.1981.1056331. Needs torch only.
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor


def _neighbours(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left, upper and upper left neighbour of every pixel of x (B, H, W), zero outside."""
    padded = torch.nn.functional.pad(x, (1, 0, 1, 0))
    return padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]


def _byte_rows(x: Tensor) -> Tensor:
    """x (B, C, H, W) bytes as int64 (B, C H, W), channels one below the other."""
    if not isinstance(x, Tensor) or x.ndim != 4 or x.dtype != torch.uint8:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be uint8 (B, C, H, W), got {got}")
    return x.flatten(1, 2).long()


def deflate_bits(x: Tensor) -> Tensor:
    """Bits (B,) of uint8 pictures (B, C, H, W) by PNG's filters and raw deflate, no headers.

    The best of its five filters for each picture, three bits to name it. The trees of deflate
    still take some 50 bytes, which is much for small pictures.

    Examples
    --------
    >>> made = torch.Generator().manual_seed(0)
    >>> noise = torch.randint(256, (1, 1, 28, 28), dtype=torch.uint8, generator=made)
    >>> bits = deflate_bits(torch.cat((torch.zeros_like(noise), noise)))
    >>> bool(bits[0] < 200), bool(bits[1] > 6272)  # 8 bits a pixel
    (True, True)
    """
    rows = _byte_rows(x)
    left, up, corner = _neighbours(rows)
    toward = left + up - corner
    apart = torch.stack([(toward - n).abs() for n in (left, up, corner)])
    paeth = torch.stack((left, up, corner)).gather(0, apart.argmin(0, keepdim=True))[0]
    guesses = (torch.zeros_like(rows), left, up, (left + up) // 2, paeth)
    sizes = []
    for guess in guesses:
        rest = ((rows - guess) % 256).to(torch.uint8).cpu()
        packed = [zlib.compressobj(9, zlib.DEFLATED, -15) for _ in rest]
        parts = zip(packed, rest, strict=True)
        sizes.append([len(z.compress(r.numpy().tobytes()) + z.flush()) for z, r in parts])
    return 8.0 * torch.tensor(sizes, dtype=torch.float64).amin(0) + 3


def adaptive_bits(x: Tensor) -> Tensor:
    """Bits (B,) of the same pictures by counts that are learned on the way, no headers at all.

    Every pixel is guessed from three neighbours (the median edge detector); what is left over goes
    by an arithmetic code whose counts begin at nothing for each picture, in two contexts: all three
    neighbours equal, or not. The counts give the length in closed form, whatever the order.

    Examples
    --------
    >>> bool(adaptive_bits(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)) < 200)
    True
    """
    rows = _byte_rows(x)
    left, up, corner = _neighbours(rows)
    low, high = torch.minimum(left, up), torch.maximum(left, up)
    guess = torch.where(corner >= high, low, torch.where(corner <= low, high, left + up - corner))
    rest = ((rows - guess) % 256).flatten(1)  # (B, D)
    flat = ((left == up) & (up == corner)).flatten(1).long()
    counts = torch.zeros(len(x), 2 * 256, dtype=torch.float64)
    counts.scatter_add_(1, (rest + 256 * flat).cpu(), torch.ones(rest.shape, dtype=torch.float64))
    counts, few = counts.view(-1, 2, 256), 1 / 16  # imagined counts of every symbol
    gained = (counts + few).lgamma() - math.lgamma(few)
    spent = (counts.sum(2) + 256 * few).lgamma() - math.lgamma(256 * few)
    return (spent.sum(1) - gained.sum((1, 2))) / math.log(2)


def excess_bits(log_p: Tensor, code_bits: Tensor) -> Tensor:
    """log2 p(x) + L(x) (B,), bits: -S of the paper, high where the model beats the code.

    Parameters
    ----------
    log_p : (B,) nats, natural logarithms. code_bits : (B,) bits, not bytes.

    Examples
    --------
    >>> excess_bits(torch.tensor([-math.log(8)]), torch.tensor([5.0]))
    tensor([2.])
    """
    if log_p.shape != code_bits.shape or log_p.ndim != 1:
        raise ValueError(f"log_p and code_bits must be (B,): {log_p.shape}, {code_bits.shape}")
    return log_p / math.log(2) + code_bits
