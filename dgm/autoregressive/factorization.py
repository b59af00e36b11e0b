"""The chain rule as a model: p(x) = prod_t p(x_t | those before it), in any order of the variables.

Larochelle & Murray (2011), NADE, PMLR 15, eqs. 1-2; any order: Uria, Murray & Larochelle (2014),
arXiv:1310.1757, section 3. The network and the shape of one conditional come in as arguments
(conditional.py). Needs torch only.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Autoregressive(nn.Module):
    """p(x) = prod_t p(x_order[t] | x_order[0], ..., x_order[t - 1]), exact, each factor by ``net``.

    Parameters
    ----------
    net : nn.Module
        Causal: ``net(h)`` maps (B, D, E) to (B, D, O), row t a function of rows 0 .. t - 1 only.
        If it also has ``step(t, h, state) -> (out (B, O), state)``, where h (B, E) is row t - 1,
        samples are drawn with it: the same draws, without computing earlier rows again.
    conditional : nn.Module
        One variable given those before it: what the network sees of the values, ``embed(v)``
        (B, D, E), the parameters out of its numbers, ``conditional(out)`` (B, D, K),
        ``log_prob(params, v)`` (B, D), and ``sample(params, temperature, generator)``.
    shape : tuple of int
        Of one example; D is its number of entries.
    order : sequence of D ints, optional
        order[t] is the flat index of the variable that comes t-th; as stored when left out.

    Examples
    --------
    >>> model = Autoregressive(net, conditional, (1, 2, 2), order=[3, 1, 0, 2])  # doctest: +SKIP
    """

    def __init__(
        self,
        net: nn.Module,
        conditional: nn.Module,
        shape: tuple[int, ...],
        order: Sequence[int] | Tensor | None = None,
    ):
        super().__init__()
        self.net, self.conditional, self.shape = net, conditional, tuple(shape)
        if hasattr(conditional, "levels"):
            self.levels = conditional.levels
        size = math.prod(self.shape)
        order = torch.as_tensor(range(size) if order is None else order)
        if order.shape != (size,) or order.sort().values.tolist() != list(range(size)):
            raise ValueError(
                f"order must hold each of 0 .. {size - 1} once, got shape {tuple(order.shape)}: "
                f"{order.flatten().tolist()[:8]} ..."
            )
        self.register_buffer("order", order.long())
        self.register_buffer("rank", order.argsort())

    def _in_order(self, x: Tensor) -> Tensor:
        """The variables of checked x (B, *shape) as they come, (B, D)."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        return self.conditional.check(x).flatten(1)[:, self.order]

    def start_from(self, x: Tensor) -> None:
        """Start each variable at its own marginal in x (N, *shape), before it looks at others."""
        self.conditional.start_from(self._in_order(x))

    def _given_before(self, v: Tensor) -> Tensor:
        """Parameters of every conditional, (B, D, K), in the order."""
        return self.conditional(self.net(self.conditional.embed(v)))

    def forward(self, x: Tensor) -> Tensor:
        """Parameters of every p(x_d | those before), (B, *shape, K), where x_d lies in x."""
        params = self._given_before(self._in_order(x))[:, self.rank]
        return params.view(len(x), *self.shape, -1)

    def terms(self, x: Tensor) -> Tensor:
        """log p(x_d | those before), (B, *shape) nats; they add up to `log_prob`."""
        v = self._in_order(x)
        log_p = self.conditional.log_prob(self._given_before(v), v)
        return log_p[:, self.rank].view(x.shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats. Raises ValueError for x of wrong shape, type or range."""
        return self.terms(x).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Exact negative log p(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(
        self, n: int, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *shape), as stored, one variable after the other: D calls of the network."""
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        v, state = self.conditional.blank(n, len(self.order)), None  # (n, D), filled in the order
        cached = hasattr(self.net, "step")
        for t in range(len(self.order)):
            if cached:
                last = max(t - 1, 0)
                h = self.conditional.embed(v[:, last : last + 1], last)[:, 0]
                out, state = self.net.step(t, h, state)
            else:
                out = self.net(self.conditional.embed(v))[:, t]
            params = self.conditional(out[:, None], t)[:, 0]  # (n, K)
            v[:, t] = self.conditional.sample(params, temperature, generator)
        return self.conditional.stored(v[:, self.rank].view(n, *self.shape))
