"""A dequantised model whose log-determinants are estimated: its one-sample bound, and no other.

Why no more: Jensen's inequality. If log p is known up to noise of mean zero, a mean of log p stays
unbiased, a mean of weights exp(log p) is too large. Chen et al. (2019), Residual flows,
arXiv:1906.02735, section 3.1, evaluate likelihoods this way. Needs torch only.
"""

import torch
from torch import Tensor, nn


class UnbiasedBound(nn.Module):
    """What of a dequantised model is honest if its flow has estimated log-determinants.

    Parameters
    ----------
    model : nn.Module
        A `Dequantize`, its flow with unbiased log-determinants in eval mode too.
    data : Levels (support.py)
        What x is.

    Notes
    -----
    Own method: ``encode``.
    """

    def __init__(self, model: nn.Module, data: object):
        super().__init__()
        self.model, self.data = model, data

    def start_from(self, x: Tensor) -> None:
        """Hand training data x to the layers that start from them."""
        self.model.start_from(x)

    def elbo(self, x: Tensor) -> Tensor:
        """Unbiased estimate of a lower bound on log P(x) (B,), nats."""
        return self.model.elbo(x)

    def loss(self, x: Tensor) -> Tensor:
        """Its negative (B,), nats."""
        return -self.elbo(x)

    def sample(
        self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws, integers (n, *shape) as stored."""
        return self.model.sample(n, temperature=temperature, generator=generator)

    def encode(self, x: Tensor) -> Tensor:
        """Integers x (B, *shape) -> the code z of the middles of their bins."""
        return self.model.encode(x)
