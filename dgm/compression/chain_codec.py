"""The code of a chain rule: every place by its law given those before it, in the model's order.

Predictive coding with arithmetic coding: Rissanen and Langdon (1981), doi:10.1109/TIT.1981.1056282.
Encoder and decoder take the same steps in the same order: the encoder does not use the fast pass
over all places at once, whose sums round differently. Needs torch only.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn


class ChainCodec:
    """Pictures on a stack of bits by an `Autoregressive` of levels, and back.

    Works on a copy of the model in double precision (integer_table.py says why).

    Parameters
    ----------
    model : nn.Module
        ``net`` (with ``step`` or without), ``law`` with ``table(params)``, ``data`` (Levels),
        ``order`` and ``rank``, ``in_order(x)``, ``condition`` (autoregressive.py).
    at_once : int
        Pictures that go through the network together.
    y : int, optional
        The label of all pictures, for a model with labels, which needs one.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.compression.bit_stack import BitStack
    >>> from dgm.compression.integer_table import IntegerTable
    >>> model, x = zoo.get("made").small()
    >>> codec, stack = ChainCodec(model), BitStack(IntegerTable())
    >>> codec.encode(x, stack)
    >>> bool((codec.decode(len(x), stack) == x).all())
    True
    """

    def __init__(self, model: nn.Module, at_once: int = 64, y: int | None = None):
        if (getattr(model, "condition", None) is None) != (y is None):
            raise ValueError(f"y must be a label where the model has labels, and only there: {y!r}")
        if not hasattr(model.data, "levels"):
            raise ValueError("model must be of integers as stored (Levels)")
        self.model, self.data, self.y = copy.deepcopy(model).double().eval(), model.data, y
        self.at_once = model.data.count(at_once, "at_once", least=1)

    def _walk(self, v: Tensor, choose: Callable[[int, Tensor], Tensor]) -> None:
        """Fill v (B, D) place by place with what ``choose(t, log_p (B, levels))`` says, (B,)."""
        model, state = self.model, None
        given = () if self.y is None else (v.new_full((len(v),), self.y),)
        for t in range(v.shape[1]):
            if hasattr(model.net, "step"):
                out, state = model.net.step(t, v, state, *given)  # (B, O)
            else:
                out = model.net(v, *given)[:, t]
            log_p = model.law.table(model.law(out[:, None], t))[:, 0]  # (B, levels)
            v[:, t] = choose(t, log_p)

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack."""
        for part in reversed(self.data.check(x).split(self.at_once)):
            values, laws = self.model.in_order(part), []
            blank = self.model.law.blank(len(part), self.data.dims)
            self._walk(blank, lambda t, log_p: laws.append(log_p) or values[:, t])  # noqa: B023
            for t in reversed(range(self.data.dims)):  # the decoder pops the first place first
                stack.push(values[:, t], laws[t])

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        found, left = [self.data.stored(torch.zeros(0, *self.data.shape))], self.data.count(n)
        while left:
            v = self.model.law.blank(min(left, self.at_once), self.data.dims)
            self._walk(v, lambda t, log_p: stack.pop(log_p))
            found.append(self.data.stored(v[:, self.model.rank].view(-1, *self.data.shape)))
            left -= len(v)
        return torch.cat(found)
