"""Bit-Swap: bits back over a chain of layers, each written before the next is drawn.

Kingma, Abbeel and Ho (2019), arXiv:1905.06845. Needs torch only.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn


class BitSwap:
    """Pictures on a stack of bits by a hierarchical VAE that is a Markov chain both ways, and back.

    Draw z_1 from q(z_1|x), write x by p(x|z_1), draw z_2 from q(z_2|z_1), write z_1 by p(z_1|z_2),
    and so on; the top layer is written by N(0, I). Before x is written only z_1 has been drawn: the
    initial bits are those of one layer, not of all.

    Parameters
    ----------
    model : nn.Module
        ``data``, ``layers`` (the top one first) that are drawn on the way up and hand on the draw
        alone (``read``, ``rising``, ``prior``, ``update``), ``decoder`` (top_down.py).
    buckets : object
        As for `BitsBack`; the same for all layers (buckets.py).
    table : callable
        ``table(likelihood, levels)``: log masses (D, levels) of p(x|z) (`pixel_table`).
    swap : bool
        False draws all layers before anything is written: the same cost, more initial bits.
    """

    def __init__(
        self, model: nn.Module, buckets: object, table: Callable[[object, int], Tensor],
        swap: bool = True,
    ):  # fmt: skip
        if any(layer.rising is None or layer.posterior is not None for layer in model.layers):
            raise ValueError(
                "model must be drawn on the way up only: use TopDownCodec for the other"
            )
        if getattr(model, "top", None) is not None:
            raise ValueError("model must be a Markov chain: a state that layers add to is none")
        self.model, self.data = copy.deepcopy(model).double().eval(), model.data
        self.buckets, self.table, self.swap = buckets, table, swap
        self.layers = list(self.model.layers)[::-1]  # the lowest one first

    def _masses(self, law: object) -> Tensor:
        """Log masses (numbers, n) of the buckets under a Gaussian of one layer (1, C)."""
        return self.buckets.log_masses(law.mean[0], 0.5 * law.log_var[0])

    def _value(self, i: Tensor) -> Tensor:
        return self.buckets.centres[i][None]

    def _below(self, depth: int, i: Tensor) -> Tensor:
        """The law of what layer ``depth`` generates at bucket numbers i: the layer below, or x."""
        h = self.layers[depth].update(self.model._start(1), self._value(i))
        if depth == 0:
            return self.table(self.model.decoder(h), self.data.levels)
        return self._masses(self.layers[depth - 1].prior(h))

    def _inferred(self, depth: int, below: Tensor) -> Tensor:
        """Log masses of the buckets of layer ``depth`` under q, given what is below it."""
        layer = self.layers[depth]
        return self._masses(layer.rising(layer.read(below)))

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack, the last one first."""
        x = self.data.check(x)
        for n in reversed(range(len(x))):
            stack.scramble(f"picture {n}")
            below, waiting = self.data.scaled(x[n : n + 1], dtype=torch.float64), []
            symbols = x[n].flatten()  # of what is to be written next
            for depth in range(len(self.layers)):
                i = stack.pop(self._inferred(depth, below))
                waiting.append((symbols, self._below(depth, i)))
                if self.swap:
                    stack.push(*waiting.pop())
                below, symbols = self._value(i), i
            for written in waiting:
                stack.push(*written)
            stack.push(symbols, self.buckets.uniform(len(symbols)))

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        found = torch.zeros(self.data.count(n), *self.data.shape, dtype=torch.long)
        top = self.layers[-1].prior(self.model._start(1)).mean.numel()
        for at, x in enumerate(found):
            i, waiting = stack.pop(self.buckets.uniform(top)), []
            for depth in reversed(range(len(self.layers))):
                j = stack.pop(self._below(depth, i))
                below = self._value(j) if depth else self.data.scaled(j, dtype=torch.float64)
                below = below if depth else below.view(1, *self.data.shape)
                waiting.append((i, self._inferred(depth, below)))
                if self.swap:
                    stack.push(*waiting.pop())
                i = j
            for written in waiting:  # the bits back, the top layer first
                stack.push(*written)
            x.copy_(i.view(self.data.shape))
            stack.scramble(f"picture {at}")
        return self.data.stored(found)
