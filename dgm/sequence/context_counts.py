"""Counting what followed the last few tokens: an n-gram model that learns while it reads.

Interpolated Kneser-Ney: Kneser & Ney (1995), doi:10.1109/ICASSP.1995.479394; Chen & Goodman (1999),
doi:10.1006/csla.1999.0128, section 4.1. Counts of shorter contexts grow only with what is new after
the longer ones, which is also the update exclusion of PPM: Cleary & Witten (1984),
doi:10.1109/TCOM.1984.1096090. Needs torch only.
"""

import torch
from torch import Tensor


class ContextCounts:
    """p(v | past) out of how often v followed the last ``order``, order - 1, ..., 0 tokens.

    With n_k(v) the count of v after the last k tokens, N_k their sum and t_k how many different v
    there are, a discount d from each seen v goes to the next shorter context,

        p_k(v) = (max(n_k(v) - d, 0) + d t_k p_{k-1}(v)) / N_k,    p_{-1}(v) = 1 / levels,

    which sums to one at every k; contexts never seen are passed over. It has no weights, but every
    token read leaves its counts behind.

    Parameters
    ----------
    levels : int
        Tokens 0 .. levels - 1.
    order : int
        Length of the longest context; an n-gram model with n = order + 1.
    discount : float
        d, between 0 and 1.

    Examples
    --------
    >>> counts = ContextCounts(levels=2, order=1, discount=0.5)
    >>> counts.read(torch.tensor([0, 0, 0])).exp()  # 1/2, then surer and surer
    tensor([0.5000, 0.7500, 0.9375], dtype=torch.float64)
    """

    def __init__(self, levels: int, order: int, discount: float = 0.75):
        if levels < 1 or order < 0 or not 0 < discount < 1:
            raise ValueError(
                "levels >= 1, order >= 0 and discount between 0 and 1 needed, "
                f"got {levels}, {order} and {discount}"
            )
        self.levels, self.order, self.discount = levels, order, discount
        self.past: list[int] = []  # the last ``order`` tokens
        self.after: dict[tuple, dict[int, int]] = {}  # context -> counts of what followed
        self.total: dict[tuple, int] = {}  # their sums

    def _contexts(self) -> list[tuple]:
        """The last 0, 1, ..., order tokens, as far as there are any."""
        return [tuple(self.past[len(self.past) - k :]) for k in range(len(self.past) + 1)]

    def _probability(self, token: int, contexts: list[tuple]) -> float:
        """p(token | past), from the shortest context to the longest that was seen."""
        p, d = 1 / self.levels, self.discount
        for context in contexts:
            counts = self.after.get(context)
            if counts is None:  # nor was any longer one
                break
            n = counts.get(token, 0)
            p = (max(n - d, 0) + d * len(counts) * p) / self.total[context]
        return p

    def _learn(self, token: int, contexts: list[tuple]) -> None:
        """Count the token from the longest context down to the first where it is not new."""
        for context in reversed(contexts):
            counts = self.after.setdefault(context, {})
            counts[token] = counts.get(token, 0) + 1
            self.total[context] = self.total.get(context, 0) + 1
            if counts[token] > 1:
                break
        self.past = [*self.past, token][-self.order :] if self.order else []

    def table(self) -> Tensor:
        """p(v | past) of every v, (levels,); sums to one."""
        contexts = self._contexts()
        p = [self._probability(v, contexts) for v in range(self.levels)]
        return torch.tensor(p, dtype=torch.float64)

    def read(self, tokens: Tensor) -> Tensor:
        """log p of each token (N,) given all read before, then counted: (N,) nats."""
        if tokens.ndim != 1 or tokens.is_floating_point():
            raise ValueError(
                f"tokens must be integers (N,), got {tokens.dtype} {tuple(tokens.shape)}"
            )
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.levels:
            raise ValueError(f"tokens must lie in 0 .. {self.levels - 1}")
        p = []
        for token in tokens.tolist():
            contexts = self._contexts()
            p.append(self._probability(token, contexts))
            self._learn(token, contexts)
        return torch.tensor(p, dtype=torch.float64).log()
