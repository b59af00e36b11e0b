"""Dequantisation: a continuous density bounds the probability of integers, if noise fills the bin.

Uniform noise: Theis et al. (2016), arXiv:1511.01844, eq. 5-8. Variational noise: Ho et al. (2019),
Flow++, arXiv:1902.00275, eqs. 8-10. Needs torch only.

Note: Flow++'s noise is a flow of mixture couplings with attention. With one `ConditionalAffine`, as
in the book's systems, `FlowNoise` draws the noise of every pixel independently given x, from a
logistic law pressed into the bin: q(u|x) factorises, and the posterior p(u|x) does not.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class UniformNoise(nn.Module):
    """u ~ U[0, 1) in every dimension: log q(u|x) = 0."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) floats -> u (B, ...) in [0, 1) and log q(u|x) (B,), nats."""
        return torch.rand_like(x), x.new_zeros(len(x))


class FlowNoise(nn.Module):
    """u = sigmoid(g(eps; x)), a conditional flow that learns where in the bin to look.

    eps is standard logistic, so with g = identity the noise is exactly uniform.

    Parameters
    ----------
    encoder : nn.Module
        Levels scaled to -1 .. 1, (B, *shape), to a context of any form.
    layers : iterable of nn.Module
        The flow g: each is called as ``layer(h, context)``, returns its output and log-determinant.
    data : Levels (support.py)
        What x is: ``scaled(x, dtype=)``.
    """

    def __init__(self, encoder: nn.Module, layers: Iterable[nn.Module], data: object):
        super().__init__()
        self.encoder, self.layers, self.data = encoder, nn.ModuleList(layers), data

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) floats -> u (B, ...) in (0, 1) and log q(u|x) (B,), nats."""
        h = torch.logit(torch.rand_like(x).clamp(1e-6, 1 - 1e-6))
        log_q = (logsigmoid(h) + logsigmoid(-h)).flatten(1).sum(1)
        context = self.encoder(self.data.scaled(x, dtype=x.dtype))
        for layer in self.layers:
            h, log_det = layer(h, context)
            log_q = log_q - log_det
        log_slope = logsigmoid(h) + logsigmoid(-h)  # of the sigmoid that closes the box
        return torch.sigmoid(h), log_q - log_slope.flatten(1).sum(1)


class ConditionalAffine(nn.Module):
    """h * exp(log_scale(context)) + shift(context): the simplest layer of a `FlowNoise`.

    ``net`` maps the context to (B, 2C, ...). Alone it makes a factorised noise, see the note above.
    """

    def __init__(self, net: nn.Module, max_log_scale: float = 2.0):
        super().__init__()
        self.net, self.max_log_scale = net, max_log_scale

    def forward(self, h: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """h (B, C, ...) -> (B, C, ...) and log-determinant (B,), nats."""
        shift, s = self.net(context).chunk(2, dim=1)
        log_scale = self.max_log_scale * torch.tanh(s / self.max_log_scale)
        return h * log_scale.exp() + shift, log_scale.flatten(1).sum(1)


class Dequantize(nn.Module):
    """Turn a density p over [0, levels)^D into bounds on the probability of integers x.

    P(x) = integral of p(x + u) over u in [0, 1)^D >= exp E_q[log p(x + u) - log q(u|x)].
    There is no ``log_prob``: only bounds can be had.

    Parameters
    ----------
    flow : nn.Module
        A density of x + u: ``log_prob(v) -> (B,)`` and ``sample(n, generator=)``; a `Flow`, or any
        other. `encode` and `decode` also need its ``forward`` and ``inverse``.
    data : Levels (support.py)
        What x is: ``check(x)``, ``stored(v)``, ``count(n)``.
    noise : nn.Module, optional
        x -> (u, log q(u|x)); `UniformNoise` when left out.

    Notes
    -----
    Own methods: ``dequantize``, ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Levels, Reals
    >>> from dgm.flow.elementwise import Logit
    >>> from dgm.flow.flow import Flow
    >>> flow = Flow([Logit(levels=5)], StandardNormal((2,)), Reals((2,)))
    >>> model = Dequantize(flow, Levels((2,), levels=5))
    >>> model.elbo(model.sample(3)).shape
    torch.Size([3])
    """

    def __init__(self, flow: nn.Module, data: object, noise: nn.Module | None = None):
        super().__init__()
        self.flow, self.data = flow, data
        self.noise = UniformNoise() if noise is None else noise

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Let the layers of the flow that can (marginal.py) start from training data x."""
        self.data.check(x)
        for layer in self.flow.modules():
            if hasattr(layer, "start_from"):
                layer.start_from(x, self.data)

    def dequantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Integers x (B, *shape) -> x + u in the model's precision, and log q(u|x) (B,), nats."""
        x = self._floats(x)
        u, log_q = self.noise(x)
        return x + u, log_q

    def _floats(self, x: Tensor) -> Tensor:
        """The checked x in the precision of the parameters."""
        like = next(self.parameters(), torch.empty(0))
        return self.data.check(x, trusted=self.training).to(like.dtype)

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log P(x) (B,), nats."""
        v, log_q = self.dequantize(x)
        return self.flow.log_prob(v) - log_q

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Importance-weighted bound with k draws (B,), nats; rises to log P(x) with k."""
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        log_w = self.elbo(x.repeat_interleave(k, 0)).view(len(x), k)
        return torch.logsumexp(log_w, 1) - math.log(k)

    def loss(self, x: Tensor) -> Tensor:
        """Negative one-sample bound (B,), nats."""
        return -self.elbo(x)

    @torch.no_grad()
    def sample(
        self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws of the density, rounded down: integers (n, *shape) as stored.

        ``temperature`` other than 1 is handed to the flow, and ``generator`` (on the model's
        device; equal ones give equal draws).
        """
        options = {} if temperature == 1 else {"temperature": temperature}
        v = self.flow.sample(self.data.count(n), generator=generator, **options)
        return self.data.stored(v)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Integers x (B, *shape) -> the code z of the middles of their bins.

        One of many: every point of the bin has a code of its own, and all `decode` to x.
        """
        return self.flow(self._floats(x) + 0.5)[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Codes z -> integers x (B, *shape) as stored; a ValueError if z is not finite."""
        if not z.isfinite().all():
            raise ValueError("z must be finite floats, got NaN or infinite values")
        return self.data.stored(self.flow.inverse(z))
