"""How many bits labels take when they come one block after the other, given features.

Prequential codes: Dawid (1984), doi:10.2307/2981683; as a measure of representations: Voita and
Titov (2020), arXiv:2003.12298 ("online code").
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCKS = (10, 20, 40, 80, 160, 320, 640)  # labels known when the next block comes


def label_bits(
    h: Tensor, y: Tensor, n_classes: int, blocks: Sequence[int] = BLOCKS, c: float = 0.1
) -> Tensor:
    """Bits of every label (N,) given features and the labels of the blocks before it.

    The first block takes log2 n_classes bits a label. Then a logistic regression is fitted to all
    that came before, on standardised features, and mixed with the uniform law (one part in n + 1),
    so that classes that were not seen yet have a code.

    Parameters
    ----------
    h : (N, ...) features, in the order of the code.
    y : (N,) labels 0 .. n_classes - 1.
    blocks : ends of the blocks; the last one ends at N.
    c : inverse strength of the L2 penalty.

    Raises
    ------
    ValueError
        Features and labels differ in length, or a block that does not grow.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(h) != len(y) or len(y) == 0:
        raise ValueError(f"y has {len(y)} labels for {len(h)} rows of h")
    ends = [*(end for end in blocks if end < len(y)), len(y)]
    if ends != sorted(set(ends)) or ends[0] < 1:
        raise ValueError(f"blocks must grow from 1 or more, got {tuple(blocks)}")
    # the first block by the uniform law, every other by all before it
    rows, labels = h.detach().cpu().flatten(1).double().numpy(), y.cpu().numpy()
    bits = [torch.full((ends[0],), math.log2(n_classes), dtype=torch.float64)]
    for known, end in itertools.pairwise(ends):
        p = torch.full((end - known, n_classes), 1 / n_classes, dtype=torch.float64)
        if len(set(labels[:known].tolist())) > 1:
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
            probe.fit(rows[:known], labels[:known])
            said = torch.zeros_like(p)
            said[:, probe[-1].classes_] = torch.from_numpy(probe.predict_proba(rows[known:end]))
            p = (known * said + p) / (known + 1)
        own = p.gather(1, torch.from_numpy(labels[known:end])[:, None])[:, 0]
        bits.append(-own.log2())
    return torch.cat(bits)
