"""Networks that answer with a distribution: a softmax head and a Gaussian head for p(y | x).

Bishop (2006), Pattern Recognition and Machine Learning, sections 4.3.4 and 5.2; Nix and Weigend
(1994), "Estimating the mean and variance of the target probability distribution". Needs torch only.
"""

import math

from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal
from torch.nn import functional as F


class SoftmaxHead(nn.Module):
    """p(y | x) over classes 0 .. K-1, with logits from a network.

    Parameters
    ----------
    labels : Levels (support.py)
        What y is, ``Levels((), K)``: ``check(y, name)``.
    net : nn.Module
        Maps x (B, ...) to logits (B, K).

    Examples
    --------
    >>> import torch
    >>> from dgm.distribution.support import Levels
    >>> head = SoftmaxHead(Levels((), 3), nn.Linear(2, 3))
    >>> head.log_prob(torch.tensor([0, 2]), torch.zeros(2, 2)).shape
    torch.Size([2])
    """

    def __init__(self, labels: object, net: nn.Module):
        super().__init__()
        self.labels, self.net = labels, net

    def forward(self, x: Tensor) -> Categorical:
        """The distribution of y given x (B, ...)."""
        return Categorical(logits=self.net(x), validate_args=False)

    def log_prob(self, y: Tensor, x: Tensor) -> Tensor:
        """(B,) nats, exact, for labels y (B,); a ValueError names a y that is none."""
        y = self.labels.check(y, "y", trusted=self.training)
        if len(y) != len(x):
            raise ValueError(f"y must hold a label for each of {len(x)} x, got {len(y)}")
        return self.net(x).log_softmax(1).gather(1, y[:, None]).squeeze(1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) nats: -log p(y | x), the cross-entropy."""
        return -self.log_prob(y, x)


class GaussianHead(nn.Module):
    """p(y | x) = N(y; mu(x), sigma(x)^2): the network answers with a value and its own error bar.

    Parameters
    ----------
    target : Reals (support.py)
        What y is, ``Reals((E,))``: ``check(y, name)``.
    net : nn.Module
        Maps x (B, ...) to (B, 2 E): E means, then E raw scales.
    min_scale : float
        sigma = min_scale + softplus(raw). The floor keeps the likelihood bounded.
    """

    def __init__(self, target: object, net: nn.Module, min_scale: float = 1e-3):
        super().__init__()
        if not 0 < min_scale < math.inf:
            raise ValueError(f"min_scale must be above 0 and finite, got {min_scale}")
        self.target, self.net, self.min_scale = target, net, min_scale

    def forward(self, x: Tensor) -> Independent:
        """The distribution of y (B, E) given x (B, ...)."""
        mean, raw = self.net(x).chunk(2, dim=1)  # each (B, E)
        return Independent(Normal(mean, self.min_scale + F.softplus(raw)), 1)

    def log_prob(self, y: Tensor, x: Tensor) -> Tensor:
        """(B,) nats, exact: the sum over the E targets of log N(y; mu, sigma^2)."""
        y, law = self.target.check(y, "y", trusted=self.training), self(x)
        if y.shape != law.mean.shape:
            raise ValueError(f"y must have shape {tuple(law.mean.shape)}, got {tuple(y.shape)}")
        return law.log_prob(y)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) nats: -log p(y | x) = log(sigma sqrt(2 pi)) + (y - mu)^2 / (2 sigma^2)."""
        return -self.log_prob(y, x)
