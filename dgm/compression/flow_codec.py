"""The code of an integer flow: what leaves each stage, by its law given what stays.

Hoogeboom, Peters, van den Berg and Welling (2019), arXiv:1905.07376. Needs torch only.
"""

import copy

import torch
from torch import Tensor, nn


class FlowCodec:
    """Pictures on a stack of bits by an integer flow, and back.

    Works on a copy of the model in double precision, so that shifts round the same everywhere.

    Parameters
    ----------
    model : nn.Module
        ``data``, ``stages`` and ``leaving(x)`` (integer_flow.py).
    at_once : int
        Pictures that go through the networks together.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.compression.bit_stack import BitStack
    >>> from dgm.compression.integer_table import IntegerTable
    >>> model, x = zoo.get("integer_flow").small()
    >>> codec, stack = FlowCodec(model), BitStack(IntegerTable())
    >>> codec.encode(x, stack)
    >>> bool((codec.decode(len(x), stack) == x).all())
    True
    """

    def __init__(self, model: nn.Module, at_once: int = 256):
        self.model, self.data = copy.deepcopy(model).double().eval(), model.data
        self.at_once = model.data.count(at_once, "at_once", least=1)

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack."""
        for part in reversed(self.data.check(x).split(self.at_once)):
            found = self.model.leaving(part)
            for stage, (left, rest) in zip(self.model.stages, found, strict=True):
                stack.push(left.flatten(), stage.law(rest).table().flatten(0, 1))

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored: the last stage first, its couplings undone."""
        found, left = [self.data.stored(torch.zeros(0, *self.data.shape))], self.data.count(n)
        while left:
            rows = min(left, self.at_once)
            rest = torch.zeros(rows, 0, dtype=torch.long)
            for stage in reversed(self.model.stages):
                popped = stack.pop(stage.law(rest).table().flatten(0, 1))
                rest = stage.inverse(popped.view(rows, -1), rest)
            found.append(self.data.stored(rest.view(rows, *self.data.shape)))
            left -= rows
        return torch.cat(found)
