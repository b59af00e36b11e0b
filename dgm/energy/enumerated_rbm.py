"""An RBM whose smaller side is enumerated: exact log Z, log-likelihood and draws.

The sum over one side leaves a product over the other: Salakhutdinov and Murray (2008),
doi:10.1145/1390156.1390266, section 3. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class EnumeratedRBM(nn.Module):
    """An RBM with its Z: log p(x) = -F(x) - log Z, where Z sums over 2^min(D, H) states.

    Own methods: ``log_z_over_hidden``, ``log_z_over_visible``.

    Parameters
    ----------
    rbm : nn.Module
        With data, weight, visible_bias, hidden_bias, free_energy(v); see rbm.py.

    Raises
    ------
    ValueError
        Both sides have more than 20 units.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.energy.negative_phase import ContrastiveDivergence
    >>> from dgm.energy.rbm import RBM
    >>> exact = EnumeratedRBM(RBM(Levels((1, 8, 8), 2), 5, ContrastiveDivergence(1)))
    >>> bool((exact.log_z_over_hidden() - 69 * torch.tensor(2.0).log()).abs() < 0.2)
    True
    """

    def __init__(self, rbm: nn.Module):
        super().__init__()
        if min(rbm.weight.shape) > 20:
            sides = tuple(rbm.weight.shape)
            raise ValueError(f"data or hidden must have at most 20 units to be summed, got {sides}")
        self.rbm, self.data = rbm, rbm.data

    def start_from(self, x: Tensor) -> None:
        """As the RBM: visible biases at the pixels' log odds in x (N, *shape)."""
        self.rbm.start_from(x)

    def _minus_log(self, h: Tensor) -> Tensor:
        """-log of the sum of exp(-E(v, h)) over all v, (B,), of rows h (B, H)."""
        field = self.rbm.visible_bias + h @ self.rbm.weight.T
        return -(h @ self.rbm.hidden_bias) - softplus(field).sum(1)

    def _log_sum(self, units: int, free_energy) -> Tensor:
        """log of the sum of exp(-free_energy) over all states of that many units, scalar."""
        return torch.logsumexp(torch.cat([-free_energy(s) for s in self._states(units)]), 0)

    def _states(self, units: int):
        """All states of that many units, in parts (at most 65,536, units)."""
        places = torch.arange(units, device=self.rbm.weight.device)
        for numbers in torch.arange(2**units, device=places.device).split(65_536):
            yield (numbers[:, None] >> places & 1).to(self.rbm.weight.dtype)

    def log_z_over_hidden(self) -> Tensor:
        """log Z, scalar, nats: the sum over all h of what is left after summing out v."""
        return self._log_sum(self.rbm.weight.shape[1], self._minus_log)

    def log_z_over_visible(self) -> Tensor:
        """log Z, scalar, nats: the sum over all v of exp(-F(v))."""
        return self._log_sum(self.rbm.weight.shape[0], self.rbm.free_energy)

    def _log_z(self) -> Tensor:
        visible, hidden = self.rbm.weight.shape
        return self.log_z_over_visible() if visible <= hidden else self.log_z_over_hidden()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) of x (B, *shape), exact, (B,) nats."""
        return -self.rbm.energy(x) - self._log_z()

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats; train ``rbm`` where 2^min(D, H) states a step are too many."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws: a state of the enumerated side, then the other side given it."""
        n, (visible, hidden) = self.data.count(n), self.rbm.weight.shape
        of_visible = visible <= hidden
        free_energy = self.rbm.free_energy if of_visible else self._minus_log
        log_p = torch.cat([-free_energy(s) for s in self._states(min(visible, hidden))])
        p = log_p.double().softmax(0)
        numbers = torch.multinomial(p, max(n, 1), replacement=True, generator=generator)[:n]
        places = torch.arange(min(visible, hidden), device=numbers.device)
        v = (numbers[:, None] >> places & 1).to(self.rbm.weight.dtype)
        if not of_visible:
            v = torch.bernoulli(self.rbm.visible_logits(v).sigmoid(), generator=generator)
        return self.data.stored(v.view(n, *self.data.shape))
