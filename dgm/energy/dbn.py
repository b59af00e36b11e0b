"""Deep belief network: an RBM on top, layers of bits below it that only point down.

Hinton, Osindero and Teh (2006), doi:10.1162/neco.2006.18.7.1527; its bound: Salakhutdinov and
Murray (2008), doi:10.1145/1390156.1390266, section 5. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class SigmoidLayer(nn.Module):
    """Bits below given bits above, and a guess of those above from those below, by one matrix.

    Taken from a trained RBM (``copy_of``) both are its exact conditionals.

    Parameters
    ----------
    below, above : int
        Number of units.

    Examples
    --------
    >>> layer = SigmoidLayer(4, 3)
    >>> layer.down(torch.ones(2, 3)).shape, layer.up(torch.ones(2, 4)).shape
    (torch.Size([2, 4]), torch.Size([2, 3]))
    """

    def __init__(self, below: int, above: int):
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(below, above))
        self.below_bias = nn.Parameter(torch.zeros(below))
        self.above_bias = nn.Parameter(torch.zeros(above))

    @torch.no_grad()
    def copy_of(self, rbm: nn.Module) -> SigmoidLayer:
        """Take weights and biases of an RBM of the same sizes; returns itself."""
        self.weight.copy_(rbm.weight)
        self.below_bias.copy_(rbm.visible_bias)
        self.above_bias.copy_(rbm.hidden_bias)
        return self

    def down(self, h: Tensor) -> Tensor:
        """Log odds (B, below) given h (B, above)."""
        return h @ self.weight.T + self.below_bias

    def up(self, v: Tensor) -> Tensor:
        """Log odds (B, above) of the guess given v (B, below)."""
        return v @ self.weight + self.above_bias


class DBN(nn.Module):
    """p(v) = sum over h_1 .. h_L of p(v | h_1) ... p(h_{L-1} | h_L) p(h_L), h_L of the top.

    The guess q goes up layer by layer. With one layer that is the copy of an RBM and an untrained
    top whose law of h_1 is that RBM's own, q is the exact posterior and the bound is log p(v).

    Own methods: ``up_and_weigh``.

    Parameters
    ----------
    data : what x is: integers of two levels as stored.
    layers : list of SigmoidLayer
        The lowest one first.
    top : nn.Module
        Law of the highest bits, (B, H): log_prob(h) exact, sample(n), loss(h).

    Raises
    ------
    ValueError
        data is not of two levels, or layers and top do not fit together.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.energy.boltzmann_machine import BoltzmannMachine
    >>> top = BoltzmannMachine(Levels((3,), 2))
    >>> DBN(Levels((1, 2, 2), 2), [SigmoidLayer(4, 3)], top).sample(2).shape
    torch.Size([2, 1, 2, 2])
    """

    def __init__(self, data, layers: list[SigmoidLayer], top: nn.Module):
        super().__init__()
        if getattr(data, "levels", None) != 2:
            raise ValueError(f"data must be integers of two levels, 0 and 1, got {data!r}")
        sizes = [data.dims, *(layer.weight.shape[1] for layer in layers)]
        fits = [layer.weight.shape[0] for layer in layers] == sizes[:-1]
        if not layers or not fits or top.data.dims != sizes[-1]:
            raise ValueError(f"layers must fit data and top: {sizes}, top of {top.data.dims}")
        self.data, self.layers, self.top = data, nn.ModuleList(layers), top

    def start_from(self, x: Tensor) -> None:
        """Lowest biases at the pixels' log odds in x (N, *shape); the guess at fair coins."""
        p = self.data.frequencies(x, pseudo_count=5.0)[..., 1].flatten()
        with torch.no_grad():
            self.layers[0].below_bias.copy_(p.logit())

    def up_and_weigh(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A guess h_L (B, H) of x, log p(v, h_1 .. | h_L) and log q(h | v) of it, (B,) nats."""
        v, log_p, log_q = self.data.rows(x, self.layers[0].weight.dtype), 0.0, 0.0
        for layer in self.layers:
            logits = layer.up(v)
            h = torch.bernoulli(logits.detach().sigmoid())
            log_p = log_p + _log_bits(v, layer.down(h))
            log_q = log_q + _log_bits(h, logits)
            v = h
        return v, log_p, log_q

    def elbo(self, x: Tensor) -> Tensor:
        """log p(x, h) - log q(h | x) of one guess h, (B,) nats.

        Bits have no reparameterisation: a term of value zero gives the guess its gradient, the log
        weight times that of log q (Williams, 1992).
        """
        h, log_p, log_q = self.up_and_weigh(x)
        log_p = log_p + self.top.log_prob(h.long())
        fixed = log_q.detach()
        return log_p - fixed + (log_p.detach() - fixed) * (log_q - fixed)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """log of the mean of k weights p(x, h) / q(h | x), (B,) nats."""
        k = self.data.count(k, "k", least=1)
        log_w = self.elbo(self.data.check(x).repeat(k, *[1] * (x.ndim - 1)))
        return log_w.view(k, -1).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor) -> Tensor:
        """-elbo, (B,) nats."""
        return -self.elbo(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Bits of the top, then one pass down."""
        n = self.data.count(n)
        h = self.top.sample(n, generator=generator).to(self.layers[0].weight.dtype)
        for layer in reversed(self.layers):
            h = torch.bernoulli(layer.down(h).sigmoid(), generator=generator)
        return self.data.stored(h.view(n, *self.data.shape))


def _log_bits(v: Tensor, logits: Tensor) -> Tensor:
    """log p(v) of bits v (B, D) with these log odds, (B,) nats."""
    return (v * logits - softplus(logits)).sum(1)
