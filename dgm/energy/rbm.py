"""Restricted Boltzmann machine: visible and hidden bits, every pair of them across joined.

Smolensky (1986); Hinton (2002), doi:10.1162/089976602760128018; the path of laws between
independent pixels and the machine: Salakhutdinov and Murray (2008), section 4. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class RBM(nn.Module):
    """Bits v seen and h hidden: E(v, h) = -a'v - b'h - v'Wh, so each side is independent bits
    given the other.

    All laws on the way from independent pixels (``beta`` = 0) to the machine (1) are here:
    E_beta = -((1 - beta) c + beta a)'v - beta b'h - beta v'Wh, where c are the log odds of the
    pixels in the training data (``base_logits``). Only `annealed` laws and chains use beta < 1.

    Own methods: ``free_energy``, ``hidden_logits``, ``visible_logits``, ``sweep``,
    ``start``. There is no ``log_prob``: Z is a sum over 2^D pictures.

    Parameters
    ----------
    data : what x is: integers of two levels as stored; checks and counts them.
    hidden : int
        Number of hidden units.
    negatives : nn.Module
        Gives the pictures whose energy `loss` raises: ``negatives(rbm, v)`` of rows v (B, D) in
        0 .. 1 are rows (N, D), see negative_phase.py and tempering.py.
    sweeps : int
        Gibbs sweeps of every chain in `sample`.

    Raises
    ------
    ValueError
        data is not of two levels, or a count is no whole number of at least 1.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.energy.negative_phase import ContrastiveDivergence
    >>> rbm = RBM(Levels((1, 8, 8), 2), hidden=16, negatives=ContrastiveDivergence(1))
    >>> rbm.energy(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3])
    """

    def __init__(self, data, hidden: int, negatives: nn.Module, sweeps: int = 200):
        super().__init__()
        if getattr(data, "levels", None) != 2:
            raise ValueError(f"data must be integers of two levels, 0 and 1, got {data!r}")
        self.data, self.negatives = data, negatives
        self.sweeps = data.count(sweeps, "sweeps", least=1)
        hidden = data.count(hidden, "hidden", least=1)
        self.weight = nn.Parameter(0.01 * torch.randn(data.dims, hidden))  # (D, H)
        self.visible_bias = nn.Parameter(torch.zeros(data.dims))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("base_logits", torch.zeros(data.dims))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Visible biases at the log odds of the pixels of x (N, *shape), where the path starts."""
        p = self.data.frequencies(x, pseudo_count=5.0)[..., 1].flatten()
        self.base_logits.copy_(p.logit())
        self.visible_bias.copy_(p.logit())

    def hidden_logits(self, v: Tensor, beta: Tensor | float = 1.0) -> Tensor:
        """Log odds (..., H) of the hidden units given v (..., D)."""
        return beta * (v @ self.weight + self.hidden_bias)

    def visible_logits(self, h: Tensor, beta: Tensor | float = 1.0) -> Tensor:
        """Log odds (..., D) of the visible units given h (..., H)."""
        return (1 - beta) * self.base_logits + beta * (h @ self.weight.T + self.visible_bias)

    def free_energy(self, v: Tensor, beta: Tensor | float = 1.0) -> Tensor:
        """-log of the sum of exp(-E_beta(v, h)) over all h, (...,) nats, of v (..., D)."""
        bias = (1 - beta) * self.base_logits + beta * self.visible_bias
        return -(v * bias).sum(-1) - softplus(self.hidden_logits(v, beta)).sum(-1)

    def energy(self, x: Tensor) -> Tensor:
        """Free energy of pictures x (B, *shape): log p(x) = -energy - log Z, (B,) nats."""
        return self.free_energy(self.data.rows(x, self.weight.dtype))

    def sweep(
        self, v: Tensor, beta: Tensor | float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One Gibbs sweep of chains v (..., D): all hidden units given v, then v given them."""

        def bits(logits: Tensor) -> Tensor:
            noise = torch.rand(
                logits.shape, generator=generator, device=v.device, dtype=logits.dtype
            )
            return (noise < logits.sigmoid()).to(logits.dtype)

        return bits(self.visible_logits(bits(self.hidden_logits(v, beta)), beta))

    def start(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n rows (n, D) of the law the path starts at: independent pixels."""
        p = self.base_logits.sigmoid().expand(n, -1)
        return torch.bernoulli(p, generator=generator)

    def loss(self, x: Tensor) -> Tensor:
        """Energy of x less the mean energy of the negatives, (B,).

        It has no meaning as a number; its gradient is that of -log p(x), E_data - E_model, as far
        as the negatives follow the model.
        """
        v = self.data.rows(x, self.weight.dtype, trusted=True)
        with torch.no_grad():
            negatives = self.negatives(self, v)
        of_data, of_model = self.free_energy(torch.cat((v, negatives))).tensor_split((len(v),))
        return of_data - of_model.mean()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Ends of n chains of ``sweeps`` Gibbs sweeps that start at independent pixels.

        Their law is the model's where the chains are long enough, which takes a look.
        """
        v = self.start(self.data.count(n), generator)
        for _ in range(self.sweeps if n else 0):
            v = self.sweep(v, 1.0, generator)
        return self.data.stored(v.view(n, *self.data.shape))
