"""The code of absorbing diffusion: entries in an order that both sides agree on.

Hoogeboom et al. (2022), Autoregressive diffusion models, arXiv:2110.02037. The order
is drawn from the same law in the model and in its bound, so its bits need not be got back: any
order that both sides know will do. Needs torch only.
"""

import copy
import hashlib

import torch
from torch import Tensor, nn


class OrderCodec:
    """Pictures on a stack of bits, each in an order of its own that follows from its number.

    Parameters
    ----------
    model : nn.Module
        ``data`` and ``logits(x, seen)`` (absorbing.py).
    at_once : int
        Pictures that go through the network together.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.compression.bit_stack import BitStack
    >>> from dgm.compression.integer_table import IntegerTable
    >>> model, x = zoo.get("absorbing_diffusion").small()
    >>> codec, stack = OrderCodec(model), BitStack(IntegerTable())
    >>> codec.encode(x, stack)
    >>> bool((codec.decode(len(x), stack) == x).all())
    True
    """

    def __init__(self, model: nn.Module, at_once: int = 64):
        self.model, self.data = copy.deepcopy(model).double().eval(), model.data
        self.at_once = model.data.count(at_once, "at_once", least=1)

    def order(self, picture: int) -> Tensor:
        """The places in the order in which they come, (D,); picture: its number."""
        digest = hashlib.shake_256(f"order {picture}".encode()).digest(4 * self.data.dims)
        words = [digest[i : i + 4] for i in range(0, len(digest), 4)]
        return torch.tensor(sorted(range(self.data.dims), key=words.__getitem__))

    def _laws(self, x: Tensor, order: Tensor, t: int) -> Tensor:
        """Log masses (B, levels) of the t-th place of each x (B, *shape) given those before it."""
        seen = torch.zeros(len(x), self.data.dims, dtype=torch.float64)
        seen.scatter_(1, order[:, :t], 1.0)
        logits = self.model.logits(x, seen.view(x.shape)).flatten(1, -2)  # (B, D, levels)
        return logits[torch.arange(len(x)), order[:, t]].log_softmax(1)

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack."""
        parts = list(self.data.check(x).split(self.at_once))
        for number, part in reversed(list(enumerate(parts))):
            first = number * self.at_once
            order = torch.stack([self.order(first + i) for i in range(len(part))])
            values, blank = part.flatten(1), torch.zeros_like(part)
            laws = []
            for t in range(self.data.dims):
                laws.append(self._laws(blank, order, t))
                now = order[:, t : t + 1]
                blank.view(len(part), -1).scatter_(1, now, values.gather(1, now))
            for t in reversed(range(self.data.dims)):
                stack.push(values.gather(1, order[:, t : t + 1])[:, 0], laws[t])

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        x = torch.zeros(self.data.count(n), *self.data.shape, dtype=torch.long)
        for first in range(0, n, self.at_once):
            part = x[first : first + self.at_once]
            order = torch.stack([self.order(first + i) for i in range(len(part))])
            for t in range(self.data.dims):
                found = stack.pop(self._laws(part, order, t))
                part.view(len(part), -1).scatter_(1, order[:, t : t + 1], found[:, None])
        return self.data.stored(x)
