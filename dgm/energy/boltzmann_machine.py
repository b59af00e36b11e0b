"""Boltzmann machine: visible bits with a weight between every two of them, all states enumerated.

Ackley, Hinton and Sejnowski (1985), doi:10.1207/s15516709cog0901_7. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BoltzmannMachine(nn.Module):
    """Bits s with p(s) in proportion to exp(s'Ws / 2 + b's); W symmetric with a zero diagonal.

    Z sums over all 2^D states, so ``log_prob`` and the gradient of ``loss`` are exact; D is at most
    16. The log-likelihood is concave in W and b: where the gradient is zero, means and pairwise
    products of the model are those of the data, and there is one such law.

    Own methods: ``weight``, ``energy``, ``moments``, ``all_states``.

    Parameters
    ----------
    data : what x is: integers of two levels as stored, at most 16 an example.
    sweeps : int
        Gibbs sweeps of every chain in `sample`, from fair coins.

    Raises
    ------
    ValueError
        data is not of two levels or has more than 16 entries; sweeps is no count.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> machine = BoltzmannMachine(Levels((3,), 2))
    >>> machine.log_prob(torch.tensor([[0, 1, 1]])).exp()  # untrained: 1 / 8
    tensor([0.1250], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data, sweeps: int = 100):
        super().__init__()
        if getattr(data, "levels", None) != 2 or data.dims > 16:
            raise ValueError(f"data must be at most 16 bits, got {data!r} of shape {data.shape}")
        self.data = data
        self.sweeps = data.count(sweeps, "sweeps", least=1)
        self.pairs = nn.Parameter(torch.zeros(data.dims * (data.dims - 1) // 2))
        self.bias = nn.Parameter(torch.zeros(data.dims))

    def weight(self) -> Tensor:
        """W (D, D): every pair's number stands twice, the diagonal is zero."""
        i, j = torch.triu_indices(self.data.dims, self.data.dims, 1, device=self.bias.device)
        upper = self.pairs.new_zeros(self.data.dims, self.data.dims).index_put((i, j), self.pairs)
        return upper + upper.T

    def _energy(self, s: Tensor) -> Tensor:
        return -0.5 * (s @ self.weight() * s).sum(1) - s @ self.bias

    def energy(self, x: Tensor) -> Tensor:
        """-s'Ws / 2 - b's of x (B, *shape), (B,) nats: log p = -energy - log Z."""
        return self._energy(self.data.rows(x, self.bias.dtype))

    def all_states(self) -> Tensor:
        """All states (2^D, D) as floats."""
        places = torch.arange(self.data.dims, device=self.bias.device)
        numbers = torch.arange(2**self.data.dims, device=self.bias.device)
        return (numbers[:, None] >> places & 1).to(self.bias.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exact, (B,) nats."""
        log_z = torch.logsumexp(-self._energy(self.all_states()), 0)
        return -self.energy(x) - log_z

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x)

    def moments(self) -> tuple[Tensor, Tensor]:
        """E[s] (D,) and E[s s'] (D, D) under the model, exact."""
        states = self.all_states()
        p = (-self._energy(states)).softmax(0)
        return p @ states, states.T @ (p[:, None] * states)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Ends of n chains of ``sweeps`` Gibbs sweeps: p(s_i = 1 | rest) = sigmoid(W_i s + b_i)."""
        n, weight = self.data.count(n), self.weight()
        p = torch.full((n, self.data.dims), 0.5, dtype=weight.dtype, device=weight.device)
        s = torch.bernoulli(p, generator=generator)
        for _ in range(self.sweeps if n else 0):
            for i in range(self.data.dims):
                p = (s @ weight[i] + self.bias[i]).sigmoid()
                s[:, i] = torch.bernoulli(p, generator=generator)
        return self.data.stored(s.view(n, *self.data.shape))
