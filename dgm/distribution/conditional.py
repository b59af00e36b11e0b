"""Networks that answer with a distribution: a softmax head and a Gaussian head for p(y | x).

Bishop (2006), Pattern Recognition and Machine Learning, sections 4.3.4 and 5.2; Nix and Weigend
(1994), "Estimating the mean and variance of the target probability distribution".
Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal
from torch.nn import functional as F


class SoftmaxHead(nn.Module):
    """p(y | x) over classes 0 .. K-1, with logits from a network.

    Parameters
    ----------
    net : maps x (B, ...) to logits (B, K).

    Example
    -------
    >>> head = SoftmaxHead(nn.Linear(2, 3))
    >>> head.log_prob(torch.tensor([0, 2]), torch.zeros(2, 2)).shape
    torch.Size([2])
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Categorical:
        """The distribution of y given x (B, ...)."""
        return Categorical(logits=self.net(x), validate_args=False)

    def log_prob(self, y: Tensor, x: Tensor) -> Tensor:
        """(B,) nats, exact. y is int64 (B,); raises ValueError for a label that has no logit."""
        logits = self.net(x)  # (B, K)
        if y.shape != logits.shape[:1] or y.is_floating_point():
            raise ValueError(
                f"y must be integer labels of shape {tuple(logits.shape[:1])}, "
                f"got {y.dtype} of shape {tuple(y.shape)}"
            )
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[1]:
            raise ValueError(
                f"y must hold labels 0 .. {logits.shape[1] - 1}, "
                f"got values from {int(y.min())} to {int(y.max())}"
            )
        return logits.log_softmax(1).gather(1, y[:, None]).squeeze(1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) nats: -log p(y | x), the cross-entropy."""
        return -self.log_prob(y, x)


class GaussianHead(nn.Module):
    """p(y | x) = N(y; mu(x), sigma(x)^2): the network answers with a value and its own error bar.

    Parameters
    ----------
    net : maps x (B, ...) to (B, 2 E): E means, then E raw scales for a target y of E numbers.
    min_scale : sigma = min_scale + softplus(raw). The floor keeps the likelihood bounded.
    """

    def __init__(self, net: nn.Module, min_scale: float = 1e-3):
        super().__init__()
        if min_scale <= 0:
            raise ValueError(f"min_scale must be above 0, got {min_scale}")
        self.net, self.min_scale = net, min_scale

    def forward(self, x: Tensor) -> Independent:
        """The distribution of y (B, E) given x (B, ...)."""
        mean, raw = self.net(x).chunk(2, dim=1)  # each (B, E)
        return Independent(Normal(mean, self.min_scale + F.softplus(raw)), 1)

    def log_prob(self, y: Tensor, x: Tensor) -> Tensor:
        """(B,) nats, exact: the sum over the E targets of log N(y; mu, sigma^2)."""
        law = self(x)
        if y.shape != law.mean.shape:
            raise ValueError(f"y must have shape {tuple(law.mean.shape)}, got {tuple(y.shape)}")
        if not torch.isfinite(y).all():
            raise ValueError("y must be finite, got NaN or infinity")
        return law.log_prob(y)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) nats: -log p(y | x) = log(sigma sqrt(2 pi)) + (y - mu)^2 / (2 sigma^2)."""
        return -self.log_prob(y, x)
