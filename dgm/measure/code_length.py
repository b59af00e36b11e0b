"""Prequential code length: what it costs to send the labels to someone who holds the codes.

Labels go over in blocks; each block is coded by a probe that was fitted to all blocks before it.
Online code of Voita and Titov (2020), arXiv:2003.12298, section 2.2.2; Blier and Ollivier (2018),
arXiv:1802.07044, section 3. Needs torch and scikit-learn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.measure.probe import check_classes, standardised

BLOCKS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)  # ends, as shares of the labels
STRENGTHS = (1e-2, 1e-1, 1.0)


def _log_probs(h: Tensor, y: Tensor, next_h: Tensor, classes: int, c: float) -> Tensor:
    """log of (n q + 1) / (n + K) for the rows of ``next_h``, (M, K): q a probe of n rows h, y.

    The uniform law is mixed in with the weight of K examples, so no class costs infinitely much.
    """
    from sklearn.linear_model import LogisticRegression

    n, q = len(y), torch.zeros(len(next_h), classes, dtype=torch.float64)
    if len(y.unique()) == 1:
        q[:, y[0]] = 1.0
    else:
        probe = LogisticRegression(C=c, max_iter=500).fit(h.numpy(), y.numpy())
        q[:, torch.as_tensor(probe.classes_)] = torch.as_tensor(probe.predict_proba(next_h.numpy()))
    return ((n * q + 1) / (n + classes)).log()


def prequential_bits(
    h: Tensor, y: Tensor, classes: int, blocks: Sequence[float] = BLOCKS, c: float = 0.1
) -> float:
    """Bits of all labels y (N,) given rows h (N, D), one block after the other.

    The first block has no probe yet: log2(classes) for every label. Rows are standardised with all
    of h, which the receiver holds.

    Raises
    ------
    ValueError
        Labels out of range, one class only, or blocks that do not rise to 1.
    """
    check_classes(y)
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise ValueError(f"y must lie in 0 .. {classes - 1}, got {int(y.min())} .. {int(y.max())}")
    ends = [round(share * len(y)) for share in blocks]
    if blocks[-1] != 1 or ends[0] < 1 or any(b <= a for a, b in itertools.pairwise(ends)):
        raise ValueError(f"blocks must rise to 1 and hold a label each, got {tuple(blocks)}")
    (rows,) = standardised(h)
    bits = ends[0] * math.log2(classes)
    for start, end in itertools.pairwise(ends):
        log_p = _log_probs(rows[:start], y[:start], rows[start:end], classes, c)
        bits -= log_p.gather(1, y[start:end, None].long()).sum().item() / math.log(2)
    return bits


def code_length(h: Tensor, y: Tensor, classes: int, strengths: Sequence[float] = STRENGTHS) -> dict:
    """The shortest of the codes that differ in the probe's penalty, with the bits that name it.

    ``bits``; ``uniform``, N log2 K; ``compression``, uniform over bits: 1 and less where h says
    nothing about y.
    """
    named = math.log2(len(strengths))
    bits = named + min(prequential_bits(h, y, classes, c=c) for c in strengths)
    uniform = len(y) * math.log2(classes)
    return {"bits": bits, "uniform": uniform, "compression": uniform / bits}
