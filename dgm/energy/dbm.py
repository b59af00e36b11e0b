"""Deep Boltzmann machine: two hidden layers, every arrow replaced by a weight that acts both ways.

Salakhutdinov and Hinton (2009), AISTATS, proceedings.mlr.press/v5/salakhutdinov09a: mean field for
the posterior, here beside the exact one. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class DBM(nn.Module):
    """Bits v, h, g with E = -a'v - b'h - c'g - v'Wh - h'Ug.

    Given h, the bits v and g are independent, so everything is a sum over the 2^H states of h: Z,
    p(v), and exact draws. H is at most 16; such a machine shows what mean field loses.

    Own methods: ``log_z``, ``mean_field``, ``mean_field_bound``.

    Parameters
    ----------
    data : what x is: integers of two levels as stored.
    hidden : int
        Units h next to the picture, at most 16.
    top : int
        Units g above them.

    Raises
    ------
    ValueError
        data is not of two levels, or a count is out of range.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> machine = DBM(Levels((1, 2, 2), 2), hidden=3, top=5)
    >>> x = torch.ones(2, 1, 2, 2, dtype=torch.uint8)
    >>> bool((machine.mean_field_bound(x) <= machine.log_prob(x) + 1e-6).all())
    True
    """

    def __init__(self, data, hidden: int = 10, top: int = 20):
        super().__init__()
        if getattr(data, "levels", None) != 2:
            raise ValueError(f"data must be integers of two levels, 0 and 1, got {data!r}")
        hidden, top = data.count(hidden, "hidden", least=1), data.count(top, "top", least=1)
        if hidden > 16:
            raise ValueError(f"hidden must be at most 16, all its states are summed, got {hidden}")
        self.data = data
        self.weight = nn.Parameter(0.01 * torch.randn(data.dims, hidden))  # W (D, H)
        self.top_weight = nn.Parameter(0.01 * torch.randn(hidden, top))  # U (H, G)
        self.visible_bias = nn.Parameter(torch.zeros(data.dims))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.top_bias = nn.Parameter(torch.zeros(top))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Visible biases at the log odds of the pixels of x (N, *shape)."""
        p = self.data.frequencies(x, pseudo_count=5.0)[..., 1].flatten()
        self.visible_bias.copy_(p.logit())

    def _states(self) -> Tensor:
        """All states h (2^H, H)."""
        places = torch.arange(len(self.hidden_bias), device=self.weight.device)
        numbers = torch.arange(2 ** len(places), device=self.weight.device)
        return (numbers[:, None] >> places & 1).to(self.weight.dtype)

    def _from_above(self, h: Tensor) -> Tensor:
        """b'h + log of the sum over g of exp(c'g + h'Ug), (B,), of rows h (B, H)."""
        return h @ self.hidden_bias + softplus(h @ self.top_weight + self.top_bias).sum(1)

    def _log_weights(self, h: Tensor) -> Tensor:
        """log of the sum over v and g of exp(-E), (B,), of rows h (B, H)."""
        return self._from_above(h) + softplus(h @ self.weight.T + self.visible_bias).sum(1)

    def log_z(self) -> Tensor:
        """log Z, exact, scalar, nats."""
        return self._log_weights(self._states()).logsumexp(0)

    def energy(self, x: Tensor) -> Tensor:
        """-log of the sum over h and g of exp(-E) at x (B, *shape), (B,) nats."""
        v, h = self.data.rows(x, self.weight.dtype), self._states()
        of_h = self._from_above(h) + v @ self.weight @ h.T  # (B, 2^H)
        return -(v @ self.visible_bias) - of_h.logsumexp(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exact, (B,) nats."""
        return -self.energy(x) - self.log_z()

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x)

    def mean_field(self, x: Tensor, steps: int = 50) -> tuple[Tensor, Tensor]:
        """Means of h (B, H) and g (B, G) of the nearest law of independent bits found, given x.

        Each side in turn takes its best value with the other held: the bound never falls.
        """
        v = self.data.rows(x, self.weight.dtype)
        g = self.top_bias.sigmoid().expand(len(v), -1)
        for _ in range(self.data.count(steps, "steps", least=1)):
            h = (v @ self.weight + self.hidden_bias + g @ self.top_weight.T).sigmoid()
            g = (h @ self.top_weight + self.top_bias).sigmoid()
        return h, g

    def mean_field_bound(self, x: Tensor, steps: int = 50) -> Tensor:
        """E_q[-E] + entropy of q - log Z, at most log p(x), (B,) nats."""
        v = self.data.rows(x, self.weight.dtype)
        h, g = self.mean_field(x, steps)
        minus_energy = v @ self.visible_bias + h @ self.hidden_bias + g @ self.top_bias
        minus_energy = minus_energy + (v @ self.weight * h).sum(1)
        minus_energy = minus_energy + (h @ self.top_weight * g).sum(1)
        entropy = _entropy_of_bits(h) + _entropy_of_bits(g)
        return minus_energy + entropy - self.log_z()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws: h from its exact law, then v given h."""
        n, states = self.data.count(n), self._states()
        p = self._log_weights(states).double().softmax(0)
        rows = torch.multinomial(p, max(n, 1), replacement=True, generator=generator)[:n]
        p = (states[rows] @ self.weight.T + self.visible_bias).sigmoid()
        v = torch.bernoulli(p, generator=generator)
        return self.data.stored(v.view(n, *self.data.shape))


def _entropy_of_bits(p: Tensor) -> Tensor:
    """Entropy of independent bits with these means (B, K), (B,) nats."""
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum(1)
