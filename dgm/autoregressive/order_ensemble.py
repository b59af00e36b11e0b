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
        ``net(v, rank)`` maps values (B, D), as stored, to (B, D, O), causal in the order in which
        the d-th variable has place rank[d] (MADE).
    law : nn.Module
        One value given those before it (law.py), its places those of the variables as stored.
    data : Levels or Reals (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``stored(v)``, ``count(n)``.
    n_orders : int
        How many orders are averaged; drawn here from ``seed``.
    any_order : bool
        Train on an order drawn anew for every batch, so that any of the D! may be asked for.
        Note: harder, and worse on few data, than training on the kept orders alone.

    Notes
    -----
    Own methods: ``order_log_probs``, log p(x; o) of every order kept.
    """

    def __init__(
        self,
        net: nn.Module,
        law: nn.Module,
        data: object,
        n_orders: int = 8,
        seed: int = 0,
        any_order: bool = False,
    ):
        super().__init__()
        if n_orders < 1:
            raise ValueError(f"n_orders must be at least 1, got {n_orders}")
        self.net, self.law, self.data, self.any_order = net, law, data, any_order
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(data.dims, generator=generator) for _ in range(n_orders)]
        # (n_orders, D), order[t] = variable
        self.register_buffer("orders", torch.stack(orders), persistent=False)

    def _flat(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) as (B, D)."""
        return self.data.check(x, trusted=self.training).flatten(1)

    def start_from(self, x: Tensor) -> None:
        """Start each variable at its own marginal in x (N, *shape)."""
        x = self.data.check(x)
        as_stored = torch.arange(self.data.dims, device=self.orders.device)
        for part in (self.law, *self.net.modules()):
            if hasattr(part, "start_from"):
                part.start_from(x, self.data, as_stored)

    def _log_prob_in(self, v: Tensor, order: Tensor) -> Tensor:
        """log p(v; o), (B,) nats."""
        return self.law.log_prob(self.law(self.net(v, order.argsort())), v).sum(1)

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
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape), as stored: an order for each, then its variables one by one.

        In eval mode; a ``generator`` lives on the model's device, and equal ones give equal draws.
        """
        n, n_orders = self.data.count(n), len(self.orders)
        v = self.law.blank(n, self.data.dims)
        which = torch.randint(n_orders, (n,), generator=generator, device=v.device)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        for k, order in enumerate(self.orders):
            rows, rank = (which == k).nonzero()[:, 0], order.argsort()
            for d in order.tolist() if len(rows) else []:
                params = self.law(self.net(v[rows], rank)[:, d, None], d)[:, 0]  # (rows, K)
                v[rows, d] = self.law.draw(params, generator=generator)
        for module, training in modes:
            module.training = training
        return self.data.stored(v.view(n, *self.data.shape))
