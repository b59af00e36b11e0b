"""Bits back: a code for a model with a latent variable that costs the bound, not the whole of it.

Hinton and van Camp (1993), doi:10.1145/168304.168306; Frey and Hinton (1996),
doi:10.1109/DCC.1996.488312; with asymmetric numeral systems: Townsend, Bird and Barber (2019),
arXiv:1901.04866. Needs torch only.
"""

import copy
import math

import torch
from torch import Tensor, nn


def pixel_table(likelihood: object, levels: int) -> Tensor:
    """Log mass of every level at every place, (B * D, levels), of p(x|z) as decoders give it.

    Raises
    ------
    ValueError
        It is neither a table of levels, nor a mixture of logistics, nor coin flips.
    """
    if hasattr(likelihood, "table"):
        return likelihood.table.flatten(0, -2)
    if hasattr(likelihood, "law"):
        return likelihood.law.table().flatten(0, -2)
    if not hasattr(likelihood, "trials"):
        raise ValueError(f"likelihood must be of levels, place by place, got {likelihood!r}")
    # counts of coin flips: the binomial law
    logits = likelihood.logits.flatten()[:, None]  # (B D, 1)
    v = torch.arange(levels, dtype=logits.dtype)
    choose = -torch.lgamma(v + 1) - torch.lgamma(levels - v)
    return (choose + v * logits).log_softmax(1)


class BitsBack:
    """Pictures on a stack of bits by a VAE with prior N(0, I) and a Gaussian posterior, and back.

    A picture: pop a code z from q(z|x), which frees -log2 q(z|x) bits; push x by p(x|z); push z by
    p(z). In the mean that takes the negative ELBO. The decoder goes the other way and puts back
    the bits that the encoder popped.

    Parameters
    ----------
    model : nn.Module
        ``data``, ``posterior(x)`` with ``mean`` and ``log_var``, ``likelihood(z)`` (vae.py).
    buckets : object
        ``n``, ``centres``, ``uniform(d)``, ``log_masses(mean, log_std)`` (buckets.py).
    clean : bool
        Mix the top of the stack before every draw; without, the draws repeat what was written last.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.compression.bit_stack import BitStack
    >>> from dgm.compression.buckets import Buckets
    >>> from dgm.compression.integer_table import IntegerTable
    >>> model, x = zoo.get("vae").small()
    >>> codec, stack = BitsBack(model, Buckets(256)), BitStack(IntegerTable())
    >>> codec.encode(x, stack)
    >>> bool((codec.decode(len(x), stack) == x).all()), stack.bits  # all bits are given back
    (True, 0)
    """

    def __init__(self, model: nn.Module, buckets: object, clean: bool = True):
        self.model, self.data = copy.deepcopy(model).double().eval(), model.data
        self.buckets, self.clean = buckets, clean
        self.dim = model.prior.sample(1, generator=torch.Generator()).shape[1]
        z = torch.stack((torch.zeros(self.dim), torch.ones(self.dim))).double()
        normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        if not torch.allclose(self.model.prior.log_prob(z), normal):
            raise ValueError("model must have the prior N(0, I): the buckets are cut for it")

    def _posterior(self, x: Tensor) -> Tensor:
        """Log masses (d, n) of the buckets under q(z|x) of one picture x (1, *shape)."""
        q = self.model.posterior(x)
        return self.buckets.log_masses(q.mean[0], 0.5 * q.log_var[0])

    def _pixels(self, i: Tensor) -> Tensor:
        """Log masses (D, levels) under p(x|z) at the code with bucket numbers i (d,)."""
        z = self.buckets.centres[i][None]
        return pixel_table(self.model.likelihood(z), self.data.levels)

    @torch.no_grad()
    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack, the last one first."""
        x = self.data.check(x)
        for n in reversed(range(len(x))):
            if self.clean:
                stack.scramble(f"picture {n}")
            i = stack.pop(self._posterior(x[n : n + 1]))
            stack.push(x[n].flatten(), self._pixels(i))
            stack.push(i, self.buckets.uniform(len(i)))

    @torch.no_grad()
    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        found = torch.zeros(self.data.count(n), *self.data.shape, dtype=torch.long)
        for at, x in enumerate(found):
            i = stack.pop(self.buckets.uniform(self.dim))
            x.copy_(stack.pop(self._pixels(i)).view(self.data.shape))
            stack.push(i, self._posterior(x[None]))  # the bits back
            if self.clean:
                stack.scramble(f"picture {at}")
        return self.data.stored(found)
