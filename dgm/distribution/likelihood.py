"""Likelihoods p(x|z) and the decoders that make them: Bernoulli or binomial, categorical, Gaussian.

Kingma and Welling (2014), arXiv:1312.6114, appendix C; floor of the Gaussian: Mattei and Frellsen
(2018), arXiv:1802.04826, section 2. One interface: ``decoder(z)`` is an object with ``log_prob(x)``
(B,) nats, ``sample(generator)`` and ``mean``. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def require_logits(net: nn.Module) -> None:
    """Raise a ValueError if the last layer of ``net`` gives probabilities in place of logits."""
    last = list(net.modules())[-1]
    if isinstance(last, nn.Sigmoid | nn.Softmax | nn.LogSoftmax | nn.LogSigmoid):
        raise ValueError(f"net must give logits, not probabilities: drop its {type(last).__name__}")


class BernoulliLikelihood:
    """Independent bits; of more than two levels, every pixel counts the ones of n coin flips.

    log p(x|z) = sum_d log C(n, x_d) + x_d l_d - n softplus(l_d) with logits l (B, *shape) and
    n = data.levels - 1.
    """

    def __init__(self, data: object, logits: Tensor):
        self.data, self.logits, self.trials = data, logits, data.levels - 1

    @property
    def mean(self) -> Tensor:
        """Expected values (B, *shape), in 0 .. n."""
        return self.trials * torch.sigmoid(self.logits)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        v, n = x.to(self.logits.dtype), self.trials
        each = v * self.logits - n * softplus(self.logits)
        if n > 1:  # log C(n, v)
            each = each + math.lgamma(n + 1) - torch.lgamma(v + 1) - torch.lgamma(n - v + 1)
        return each.flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape)."""
        p, count = torch.sigmoid(self.logits), 0
        for _ in range(self.trials):
            count = count + (torch.empty_like(p).uniform_(generator=generator) < p).long()
        return self.data.stored(count)


class BernoulliDecoder(nn.Module):
    """z -> independent bits, or counts of coin flips, a `BernoulliLikelihood`.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to one logit for every element of x.
    data : Levels (support.py)
        ``shape``, ``levels``, ``frequencies(x)``, ``stored(v)``.
    background : bool
        Learn a logit for every element beside the network; `start_from` sets it.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> fair = BernoulliDecoder(nn.Linear(1, 2), Levels((2,), 17))
    >>> _ = fair.net.weight.data.zero_(), fair.net.bias.data.zero_()
    >>> log_p = fair(torch.zeros(1, 1)).log_prob(torch.tensor([[8, 8]]))
    >>> round(log_p.item(), 4)  # 2 log(C(16, 8) / 2^16)
    -3.2554
    """

    def __init__(self, net: nn.Module, data: object, background: bool = True):
        super().__init__()
        require_logits(net)
        self.net, self.data = net, data
        self.background = nn.Parameter(torch.zeros(data.shape)) if background else None

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to the mean of every element of x (N, *shape)."""
        if self.background is not None:
            table = self.data.frequencies(x)
            levels = torch.arange(self.data.levels, device=table.device, dtype=table.dtype)
            self.background.copy_(torch.logit(table @ levels / (self.data.levels - 1)))

    def forward(self, z: Tensor) -> BernoulliLikelihood:
        """z (B, d) -> p(x|z)."""
        out = self.net(z)
        if out.numel() != len(z) * self.data.dims:
            got = out[0].numel()
            raise ValueError(f"net must give {self.data.dims} logits per example, got {got}")
        logits = out.reshape(len(z), *self.data.shape)
        return BernoulliLikelihood(
            self.data, logits if self.background is None else logits + self.background
        )


class CategoricalLikelihood:
    """Every pixel a table of its own over the levels; nothing is assumed of their order.

    ``table`` holds log p of every level of every pixel, (B, *shape, levels) nats, normalised.
    """

    def __init__(self, data: object, table: Tensor):
        self.data, self.table = data, table

    @property
    def mean(self) -> Tensor:
        """Expected levels (B, *shape)."""
        p = self.table.exp()
        return p @ torch.arange(self.data.levels, device=p.device, dtype=p.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        return self.table.gather(-1, x.long().unsqueeze(-1)).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape)."""
        p = self.table.exp().flatten(0, -2)
        x = torch.multinomial(p, 1, generator=generator) if len(p) else p[:, 0].long()
        return self.data.stored(x.view(self.table.shape[:-1]))


class SoftmaxDecoder(nn.Module):
    """z -> a free table over the levels of every pixel, a `CategoricalLikelihood`.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to D * levels logits per example, in the order (*shape, levels).
    data : Levels (support.py)
        ``shape``, ``levels``, ``frequencies(x)``, ``stored(v)``.
    background : bool
        Learn a table for every pixel beside the network; `start_from` sets it.
    """

    def __init__(self, net: nn.Module, data: object, background: bool = True):
        super().__init__()
        require_logits(net)
        self.net, self.data = net, data
        size = (*data.shape, data.levels)
        self.background = nn.Parameter(torch.zeros(size)) if background else None

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to how often every level occurs at every pixel of x (N, *shape)."""
        if self.background is not None:
            self.background.copy_(self.data.frequencies(x).log())

    def forward(self, z: Tensor) -> CategoricalLikelihood:
        """z (B, d) -> p(x|z)."""
        out, need = self.net(z), self.data.dims * self.data.levels
        if out.numel() != len(z) * need:
            got = out[0].numel()
            raise ValueError(f"net must give {need} logits per example, got {got}")
        logits = out.reshape(len(z), *self.data.shape, self.data.levels)
        logits = logits if self.background is None else logits + self.background
        return CategoricalLikelihood(self.data, logits.log_softmax(-1))


class GaussianLikelihood:
    """N(mean, diag variance) for real x, (B, *shape) each."""

    def __init__(self, mean: Tensor, variance: Tensor):
        self.mean, self.variance = mean, variance

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        squared = (x - self.mean).square() / self.variance
        each = -0.5 * (squared + self.variance.log() + math.log(2 * math.pi))
        return each.flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """(B, *shape)."""
        eps = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + self.variance.sqrt() * eps


class NormalDecoder(nn.Module):
    """z -> N(mean(z), diag(exp(log_var(z))) + floor I), a `GaussianLikelihood`.

    The floor is a variance: without one the likelihood has no maximum (chapters 2 and 5).

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to (B, 2 D), means then log variances.
    data : Reals (support.py)
        ``shape``.
    floor : float
        Least variance, above 0.
    """

    def __init__(self, net: nn.Module, data: object, floor: float = 1e-3):
        super().__init__()
        if not 0 < floor < math.inf:
            raise ValueError(f"floor is a variance, finite and above 0, got {floor}")
        self.net, self.data, self.floor = net, data, floor

    def forward(self, z: Tensor) -> GaussianLikelihood:
        """z (B, d) -> p(x|z)."""
        out = self.net(z)
        if out.numel() != len(z) * 2 * self.data.dims:
            need, got = 2 * self.data.dims, out[0].numel()
            raise ValueError(f"net must give {need} numbers per example, got {got}")
        mean, log_var = out.reshape(len(z), 2, *self.data.shape).unbind(1)
        return GaussianLikelihood(mean, log_var.exp() + self.floor)
