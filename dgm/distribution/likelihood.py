"""Likelihoods p(x|z) for latent-variable models: Bernoulli or binomial, categorical, Gaussian.

Kingma and Welling (2014), arXiv:1312.6114, appendix C; floor of the Gaussian: Mattei and Frellsen
(2018), arXiv:1802.04826, section 2. One interface: ``log_prob(x, z)`` (B,) nats, ``sample(z)``,
``mean(z)``, ``check(x)``. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def require_levels(x: Tensor, shape: tuple[int, ...] | None, levels: int) -> None:
    """Raise a ValueError unless x (B >= 1, *shape) holds integers in 0 .. levels - 1."""
    if x.is_floating_point() or len(x) == 0 or x.numel() == 0:
        raise ValueError(f"x must be integers, not empty; got {x.dtype} of shape {tuple(x.shape)}")
    if shape is not None and tuple(x.shape[1:]) != shape:
        raise ValueError(f"x must have shape (B, {shape}), got {tuple(x.shape)}")
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= levels:
        raise ValueError(f"x must lie in 0 .. {levels - 1}, got values {low} .. {high}")


def require_logits(net: nn.Module) -> None:
    """Raise a ValueError if the last layer of ``net`` gives probabilities in place of logits."""
    last = list(net.modules())[-1]
    if isinstance(last, nn.Sigmoid | nn.Softmax | nn.LogSoftmax | nn.LogSigmoid):
        raise ValueError(f"net must give logits, not probabilities: drop its {type(last).__name__}")


class BernoulliLikelihood(nn.Module):
    """Independent bits; with ``trials`` n > 1, every pixel counts the ones of n coin flips.

    log p(x|z) = sum_d log C(n, x_d) + x_d l_d - n softplus(l_d) with logits l = net(z).

    Parameters
    ----------
    net : maps z (B, d) to one logit for every element of x.
    shape : shape of one example; None: that of the network's output.
    trials : largest value n of x; 1 for binary data.

    Examples
    --------
    >>> fair = BernoulliLikelihood(nn.Linear(1, 2).requires_grad_(False), trials=16)
    >>> _ = fair.net.weight.zero_(), fair.net.bias.zero_()
    >>> fair.log_prob(torch.tensor([[8, 8]]), torch.zeros(1, 1))  # 2 log(C(16, 8) / 2^16)
    tensor([-3.2554])
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...] | None = None, trials: int = 1):
        super().__init__()
        if trials < 1:
            raise ValueError(f"trials must be at least 1, got {trials}")
        require_logits(net)
        self.net, self.trials, self.levels = net, trials, trials + 1
        self.shape = None if shape is None else tuple(shape)
        n, v = torch.tensor(float(trials)), torch.arange(trials + 1.0)
        ways = torch.lgamma(n + 1) - torch.lgamma(v + 1) - torch.lgamma(n - v + 1)
        self.register_buffer("log_ways", ways, persistent=False)  # log C(n, v)

    def logits(self, z: Tensor) -> Tensor:
        """(B, *shape)."""
        out = self.net(z)
        return out if self.shape is None else out.reshape(len(z), *self.shape)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x is integers as stored."""
        require_levels(x, self.shape, self.levels)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        logits = self.logits(z)
        if logits.shape != x.shape:
            raise ValueError(f"x must have shape {tuple(logits.shape)}, got {tuple(x.shape)}")
        each = x.to(logits.dtype) * logits - self.trials * softplus(logits)
        return (each + self.log_ways[x.long()]).flatten(1).sum(1)

    def mean(self, z: Tensor) -> Tensor:
        """Expected values (B, *shape), in 0 .. trials."""
        return self.trials * torch.sigmoid(self.logits(z))

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """x as stored, uint8 (B, *shape)."""
        p = torch.sigmoid(self.logits(z))
        flips = torch.rand(self.trials, *p.shape, device=p.device, dtype=p.dtype) < p
        return flips.sum(0).to(torch.uint8 if self.levels <= 256 else torch.int64)


class CategoricalLikelihood(nn.Module):
    """Every pixel a table of its own over the levels, read off z; nothing is assumed of order.

    Parameters
    ----------
    net : maps z (B, d) to D * levels logits per example, in the order (*shape, levels).
    shape : shape of one example.
    levels : number of values.
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...], levels: int):
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        require_logits(net)
        self.net, self.shape, self.levels = net, tuple(shape), levels

    def table(self, z: Tensor) -> Tensor:
        """log p of every level of every pixel, (B, *shape, levels) nats."""
        logits, need = self.net(z), math.prod(self.shape) * self.levels
        if logits[0].numel() != need:
            raise ValueError(f"net must give {need} logits per example, got {logits[0].numel()}")
        return logits.reshape(len(z), *self.shape, self.levels).log_softmax(-1)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x is integers as stored."""
        require_levels(x, self.shape, self.levels)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        return self.table(z).gather(-1, x.long().unsqueeze(-1)).flatten(1).sum(1)

    def mean(self, z: Tensor) -> Tensor:
        """Expected levels (B, *shape)."""
        p = self.table(z).exp()
        return p @ torch.arange(self.levels, device=p.device, dtype=p.dtype)

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """x as stored: uint8 (B, *shape) up to 256 levels, else int64."""
        p = self.table(z).exp().flatten(0, -2)
        x = torch.multinomial(p, 1).view(len(z), *self.shape)
        return x.to(torch.uint8) if self.levels <= 256 else x


class GaussianLikelihood(nn.Module):
    """N(mean(z), diag(exp(log_var(z))) + floor I) for real x (B, D).

    The floor is a variance: without one the likelihood has no maximum (chapter 2).

    Parameters
    ----------
    net : maps z (B, d) to (B, 2 D), means then log variances.
    floor : least variance, above 0.
    shape : (D,), if it is to be checked before the posterior sees x.
    """

    def __init__(self, net: nn.Module, floor: float = 1e-3, shape: tuple[int, ...] | None = None):
        super().__init__()
        if not 0 < floor < math.inf:
            raise ValueError(f"floor is a variance, finite and above 0, got {floor}")
        self.net, self.floor = net, floor
        self.shape = None if shape is None else tuple(shape)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, (B, D) each."""
        mean, log_var = self.net(z).chunk(2, dim=1)
        return mean, log_var.exp() + self.floor

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x holds finite floats (B >= 1, D)."""
        if not x.is_floating_point() or x.ndim != 2 or len(x) == 0:
            raise ValueError(f"x must be floats (B > 0, D), got {x.dtype} {tuple(x.shape)}")
        if self.shape is not None and tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x must have shape (B, {self.shape}), got {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ValueError("x holds NaN or infinite values")

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        mean, variance = self.moments(z)
        if x.shape != mean.shape:
            raise ValueError(f"x must have shape {tuple(mean.shape)}, got {tuple(x.shape)}")
        squared = (x - mean).square() / variance
        return -0.5 * (squared + variance.log() + math.log(2 * math.pi)).sum(1)

    def mean(self, z: Tensor) -> Tensor:
        """(B, D)."""
        return self.moments(z)[0]

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """(B, D)."""
        mean, variance = self.moments(z)
        return mean + variance.sqrt() * torch.randn_like(mean)
