"""Mixtures of logistics cut into bins: exact probabilities of ordered integers, as grey levels.

Salimans et al. (2017), PixelCNN++, arXiv:1701.05517, eqs. 1-2; Kingma et al. (2016),
arXiv:1606.04934, section 5.2. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class DiscretizedLogisticMixture:
    """P(v) = sum_k w_k (F((v + h - m_k)/s_k) - F((v - h - m_k)/s_k)) for levels v = 0 .. levels-1.

    F is the logistic CDF. Levels are spread evenly over [-1, 1] and h is half their distance; the
    outer bins reach to infinity, so that the probabilities sum to one exactly.

    Note: the difference of two sigmoids at b > a is sigmoid(b) sigmoid(-a) (1 - exp(a - b)), whose
    logarithm is accurate in both tails: the paper's case distinction is not needed.

    Parameters
    ----------
    parameters : (..., 3 K), real: K logits of the weights, K means, K log-scales.
    levels : number of values, at least 2.
    max_log_scale : bound on the size of the log-scales, by a tanh.

    Examples
    --------
    >>> law = DiscretizedLogisticMixture(torch.zeros(1, 6), levels=17)
    >>> law.table().logsumexp(-1).abs() < 1e-6  # 17 masses sum to one
    tensor([True])
    """

    def __init__(self, parameters: Tensor, levels: int, max_log_scale: float = 7.0):
        if parameters.ndim < 1 or parameters.shape[-1] % 3 or not parameters.shape[-1]:
            shape = tuple(parameters.shape)
            raise ValueError(f"parameters must have shape (..., 3 K) with K >= 1, got {shape}")
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        logits, self.means, s = parameters.chunk(3, dim=-1)  # (..., K) each
        self.log_weights, self.levels = logits.log_softmax(-1), levels
        self.log_scales = max_log_scale * torch.tanh(s / max_log_scale)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass of every element of the integers x (...), nats.

        Raises ValueError if x is not shaped like the parameters without their last dimension, or
        leaves 0 .. levels - 1.
        """
        need = self.means.shape[:-1]
        if x.shape != need or x.is_floating_point():
            raise ValueError(f"x must be integers {tuple(need)}, got {x.dtype} {tuple(x.shape)}")
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < self.levels:
            raise ValueError(
                f"x must lie in 0 .. {self.levels - 1}, got {int(x.min())} .. {int(x.max())}"
            )
        return self._log_mass(x.unsqueeze(-1), self.log_weights, self.means, self.log_scales)

    def table(self) -> Tensor:
        """Log mass of every level, (..., levels) nats."""
        every = torch.arange(self.levels, device=self.means.device)[:, None]
        rest = (t.unsqueeze(-2) for t in (self.log_weights, self.means, self.log_scales))
        return self._log_mass(every, *rest)

    def _log_mass(self, x: Tensor, *parameters: Tensor) -> Tensor:
        """Integers x (..., 1) against K components (..., K) -> (...)."""
        log_weights, means, log_scales = parameters
        half = (-log_scales).exp() / (self.levels - 1)  # half a bin, in units of the scale
        t = (2 * x.to(means.dtype) / (self.levels - 1) - 1 - means) * (-log_scales).exp()
        below, above = logsigmoid(t + half), logsigmoid(half - t)  # log F(right), log 1 - F(left)
        inside = below + above + torch.log(-torch.expm1(-2 * half))
        mass = torch.where(x == 0, below, torch.where(x == self.levels - 1, above, inside))
        return torch.logsumexp(log_weights + mass, -1)

    def mean(self) -> Tensor:
        """Expected level, (...)."""
        every = torch.arange(self.levels, device=self.means.device, dtype=self.means.dtype)
        return self.table().exp() @ every

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One level for every place, int64 (...): a draw of a component, rounded into its bin."""
        weights = self.log_weights.exp()
        if weights.numel() == 0:
            return weights[..., 0].long()
        k = torch.multinomial(weights.flatten(0, -2), 1, generator=generator)
        k = k.view(*weights.shape[:-1], 1)
        mean, log_scale = (t.gather(-1, k).squeeze(-1) for t in (self.means, self.log_scales))
        u = torch.empty_like(mean).uniform_(generator=generator).clamp(1e-7, 1 - 1e-7)
        value = mean + log_scale.exp() * torch.logit(u)  # on [-1, 1]
        return ((value + 1) / 2 * (self.levels - 1)).round().clamp(0, self.levels - 1).long()


class LogisticMixtureLikelihood:
    """Every pixel its own mixture of discretised logistics; ``law`` has the batch (B, *shape)."""

    def __init__(self, data: object, law: DiscretizedLogisticMixture):
        self.data, self.law = data, law

    @property
    def mean(self) -> Tensor:
        """Expected levels (B, *shape)."""
        return self.law.mean()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        return self.law.log_prob(x).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape)."""
        return self.data.stored(self.law.sample(generator))


class LogisticMixtureDecoder(nn.Module):
    """z -> a mixture of discretised logistics for every pixel, a `LogisticMixtureLikelihood`.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to D * 3 n_components numbers per example, in the order (*shape, 3 K).
    data : Levels (support.py)
        ``shape``, ``levels``, ``stored(v)``.
    n_components : int
        Logistics K in each mixture; their means start evenly spread over [-1, 1].
    """

    def __init__(self, net: nn.Module, data: object, n_components: int = 5):
        super().__init__()
        if n_components < 1:
            raise ValueError(f"n_components must be at least 1, got {n_components}")
        self.net, self.data = net, data
        start = torch.zeros(3, n_components)
        start[1] = torch.linspace(-1, 1, n_components + 2)[1:-1]
        start[2] = -1 - math.log(n_components)  # scales
        self.register_buffer("start", start.flatten(), persistent=False)

    def forward(self, z: Tensor) -> LogisticMixtureLikelihood:
        """z (B, d) -> p(x|z)."""
        out, need = self.net(z), self.data.dims * len(self.start)
        if out.numel() != len(z) * need:
            got = out[0].numel()
            raise ValueError(f"net must give {need} numbers per example, 3 K a pixel; got {got}")
        parameters = out.reshape(len(z), *self.data.shape, len(self.start)) + self.start
        law = DiscretizedLogisticMixture(parameters, self.data.levels)
        return LogisticMixtureLikelihood(self.data, law)
