"""Annealed capacity: the KL is held at a value that rises while the model learns.

Burgess et al. (2018), Understanding disentangling in beta-VAE, arXiv:1804.03599, eq. 8.
Needs torch only.

Note: the distance is that of the batch's mean KL, as in the code of Locatello et al. (2019); held
for every x, each picture would get the same number of nats.
"""

import math

import torch
from torch import Tensor, nn


class AnnealedCapacity(nn.Module):
    """gamma |mean KL - C(t)|, with C(t) from 0 to ``capacity`` over ``steps`` steps of training.

    Parameters
    ----------
    capacity : float
        C at the end, nats.
    steps : int
        Steps until then; one is counted at every call in training mode.
    gamma : float
        Nats that a nat of distance costs.

    Examples
    --------
    >>> price = AnnealedCapacity(capacity=10.0, steps=4)
    >>> price.target()
    tensor(0.)
    >>> price.seen.fill_(2).item(), price.target()
    (2, tensor(5.))
    """

    def __init__(self, capacity: float = 10.0, steps: int = 1000, gamma: float = 10.0):
        super().__init__()
        for name, value in (("capacity", capacity), ("gamma", gamma)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")
        if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
        self.capacity, self.steps, self.gamma = capacity, steps, gamma
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def target(self) -> Tensor:
        """C of the step that is next, nats."""
        return self.capacity * (self.seen / self.steps).clamp(max=1.0)

    def forward(self, q: object, z: Tensor) -> Tensor:
        """(B,), the same for every example."""
        kl = q.kl()
        price = self.gamma * (kl.mean() - self.target().to(kl)).abs()
        if self.training:
            self.seen += 1
        return price.expand(len(kl))
