"""Bits back through a hierarchy that is inferred from the top: all layers are drawn, then written.

Townsend, Bird, Kunze and Barber (2020), HiLLoC, arXiv:1912.09953. Needs torch only.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn


class TopDownCodec:
    """Pictures on a stack of bits by a hierarchical VAE whose posteriors go down, and back.

    Numbers of a layer are cut into buckets of equal mass under the layer's prior, given the layers
    above: so a layer is written with log2(n) bits a number, and frees -log2 q of its buckets.

    Parameters
    ----------
    model : nn.Module
        ``data``, ``layers`` (the top one first; ``rise``, ``prior``, ``posterior``, ``update``),
        ``decoder`` (top_down.py); no layer is drawn on the way up.
    buckets : object
        As for `BitsBack` (buckets.py).
    table : callable
        ``table(likelihood, levels)``: log masses (D, levels) of p(x|z) (`pixel_table`).
    """

    def __init__(self, model: nn.Module, buckets: object, table: Callable[[object, int], Tensor]):
        if any(layer.rising is not None for layer in model.layers):
            raise ValueError(
                "model must be inferred on the way down only: use BitSwap for the other"
            )
        self.model, self.data = copy.deepcopy(model).double().eval(), model.data
        self.buckets, self.table = buckets, table

    def _value(self, i: Tensor, prior: object) -> Tensor:
        """The numbers z (1, C, ...) of bucket numbers i under the prior of a layer."""
        z = self.buckets.centres[i].view(prior.mean.shape)
        return prior.mean + (0.5 * prior.log_var).exp() * z

    def _posterior(self, h: Tensor, d: Tensor, layer: nn.Module) -> Tensor:
        """Log masses (numbers, n) of a layer's buckets under its posterior."""
        p = layer.prior(h)
        q = layer.posterior(h, d, p)
        mean = (q.mean - p.mean) * (-0.5 * p.log_var).exp()  # on the scale of the buckets
        return self.buckets.log_masses(mean.flatten(), 0.5 * (q.log_var - p.log_var).flatten())

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack, the last one first."""
        x, layers = self.data.check(x), self.model.layers
        for n in reversed(range(len(x))):
            stack.scramble(f"picture {n}")
            h, drawn = self.model._start(1), []
            for layer, (d, _) in zip(layers, self.model._rise(x[n : n + 1]), strict=True):
                drawn.append(stack.pop(self._posterior(h, d, layer)))
                h = layer.update(h, self._value(drawn[-1], layer.prior(h)))
            pixels = self.table(self.model.decoder(h), self.data.levels)
            stack.push(x[n].flatten(), pixels)
            for i in reversed(drawn):  # the decoder needs the top layer first
                stack.push(i, self.buckets.uniform(len(i)))

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        found = torch.zeros(self.data.count(n), *self.data.shape, dtype=torch.long)
        for at, x in enumerate(found):
            states, drawn = [self.model._start(1)], []
            for layer in self.model.layers:
                prior = layer.prior(states[-1])
                drawn.append(stack.pop(self.buckets.uniform(prior.mean.numel())))
                states.append(layer.update(states[-1], self._value(drawn[-1], prior)))
            pixels = self.table(self.model.decoder(states[-1]), self.data.levels)
            x.copy_(stack.pop(pixels).view(self.data.shape))
            # the bits back, the lowest layer first
            features = self.model._rise(x[None])
            for depth in reversed(range(len(drawn))):
                h, (d, _) = states[depth], features[depth]
                stack.push(drawn[depth], self._posterior(h, d, self.model.layers[depth]))
            stack.scramble(f"picture {at}")
        return self.data.stored(found)
