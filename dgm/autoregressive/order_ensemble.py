"""One network for every order of the variables, and the average of the probabilities it gives.

Uria, Murray & Larochelle (2014), EoNADE, arXiv:1310.1757, eqs. 9 and 12; Germain et al. (2015),
MADE, arXiv:1502.03509, section 4.2. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class OrderEnsemble(nn.Module):
    """p(x) = mean over orders o of p(x; o), each by the same weights: exact, and a mixture.

    Probabilities are averaged, not their logarithms and not logits: only so does the sum over all
    x stay one. Training draws one of the orders for every batch.

    Parameters
    ----------
    net : nn.Module
        ``net(h, rank)`` maps (B, D, E) to (B, D, O), causal in the order in which the d-th variable
        has place rank[d] (MADE).
    conditional : nn.Module
        One variable given those before it, as for a single order.
    shape : tuple of int
    n_orders : int
        How many orders are averaged; drawn here from ``seed``, and kept in a buffer.
    any_order : bool
        Train on an order drawn anew for every batch, so that any of the D! may be asked for.
        Note: harder, and worse on few data, than training on the kept orders alone.
    """

    def __init__(
        self,
        net: nn.Module,
        conditional: nn.Module,
        shape: tuple[int, ...],
        n_orders: int = 8,
        seed: int = 0,
        any_order: bool = False,
    ):
        super().__init__()
        if n_orders < 1:
            raise ValueError(f"n_orders must be at least 1, got {n_orders}")
        self.net, self.conditional, self.shape = net, conditional, tuple(shape)
        self.any_order = any_order
        if hasattr(conditional, "levels"):
            self.levels = conditional.levels
        generator, size = torch.Generator().manual_seed(seed), math.prod(self.shape)
        orders = [torch.randperm(size, generator=generator) for _ in range(n_orders)]
        self.register_buffer("orders", torch.stack(orders))  # (n_orders, D), order[t] = variable

    def _flat(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) as (B, D)."""
        if len(x) == 0 or x.shape[1:] != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        return self.conditional.check(x).flatten(1)

    def start_from(self, x: Tensor) -> None:
        """Start each variable at its own marginal in x (N, *shape)."""
        self.conditional.start_from(self._flat(x))

    def _log_prob_in(self, v: Tensor, order: Tensor) -> Tensor:
        params = self.conditional(self.net(self.conditional.embed(v), order.argsort()))
        return self.conditional.log_prob(params, v).sum(1)

    def order_log_probs(self, x: Tensor) -> Tensor:
        """log p(x; o) for every order kept, (n_orders, B) nats, exact each."""
        v = self._flat(x)
        return torch.stack([self._log_prob_in(v, order) for order in self.orders])

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log of the mean probability over the orders, (B,) nats."""
        return self.order_log_probs(x).logsumexp(0) - math.log(len(self.orders))

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats; while training -log p(x; o) for one order drawn for the batch.

        The mean of the latter over the orders is at least the former, by Jensen's inequality.
        """
        if not self.training:
            return -self.log_prob(x)
        v = self._flat(x)
        if self.any_order:
            return -self._log_prob_in(v, torch.randperm(v.shape[1], device=v.device))
        return -self._log_prob_in(v, self.orders[int(torch.randint(len(self.orders), ()))])

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape), as stored: an order for each, then its variables one by one."""
        weights = torch.ones(len(self.orders), device=self.orders.device)
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        v = self.conditional.blank(n, self.orders.shape[1])
        for k, order in enumerate(self.orders):
            rows, rank = (which == k).nonzero()[:, 0], order.argsort()
            for d in order.tolist() if len(rows) else []:
                out = self.net(self.conditional.embed(v[rows]), rank)[:, d]
                params = self.conditional(out[:, None], d)[:, 0]
                v[rows, d] = self.conditional.sample(params, generator=generator)
        return self.conditional.stored(v.view(n, *self.shape))
