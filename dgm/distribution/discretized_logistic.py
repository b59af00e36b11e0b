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
        k = torch.multinomial(weights.flatten(0, -2), 1, generator=generator)
        k = k.view(*weights.shape[:-1], 1)
        mean, log_scale = (t.gather(-1, k).squeeze(-1) for t in (self.means, self.log_scales))
        u = torch.empty_like(mean).uniform_(generator=generator).clamp(1e-7, 1 - 1e-7)
        value = mean + log_scale.exp() * torch.logit(u)  # on [-1, 1]
        return ((value + 1) / 2 * (self.levels - 1)).round().clamp(0, self.levels - 1).long()


class LogisticMixtureLikelihood(nn.Module):
    """p(x|z): every pixel its own mixture of discretised logistics, read off z by a network.

    Parameters
    ----------
    net : maps z (B, d) to D * 3 n_components numbers per example, in the order (*shape, 3 K).
    shape : shape of one example.
    levels : values 0 .. levels - 1 of an element.
    n_components : logistics K in each mixture; their means start evenly spread over [-1, 1].
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...], levels: int, n_components: int = 5):
        super().__init__()
        if n_components < 1 or levels < 2:
            raise ValueError(
                f"n_components >= 1 and levels >= 2 needed, got {n_components} and {levels}"
            )
        self.net, self.shape, self.levels = net, tuple(shape), levels
        start = torch.zeros(3, n_components)
        start[1] = torch.linspace(-1, 1, n_components + 2)[1:-1]
        start[2] = -1 - math.log(n_components)  # scales
        self.register_buffer("start", start.flatten())

    def distribution(self, z: Tensor) -> DiscretizedLogisticMixture:
        """p(x|z) of every pixel: batch (B, *shape)."""
        parameters = self.net(z).reshape(len(z), *self.shape, -1)
        if parameters.shape[-1] != len(self.start):
            need = math.prod(self.shape) * len(self.start)
            got = parameters[0].numel()
            raise ValueError(f"net must give {need} numbers per example, 3 K a pixel; got {got}")
        return DiscretizedLogisticMixture(parameters + self.start, self.levels)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x (B >= 1, *shape) holds integers in 0 .. levels - 1."""
        good = tuple(x.shape[1:]) == self.shape and len(x) > 0 and not x.is_floating_point()
        if not good or int(x.min()) < 0 or int(x.max()) >= self.levels:
            span = f" in {int(x.min())} .. {int(x.max())}" if x.numel() else ""
            raise ValueError(
                f"x must be integers 0 .. {self.levels - 1} of shape (B > 0, {self.shape}), "
                f"got {x.dtype} {tuple(x.shape)}{span}"
            )

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        return self.distribution(z).log_prob(x).flatten(1).sum(1)

    def mean(self, z: Tensor) -> Tensor:
        """Expected levels (B, *shape)."""
        return self.distribution(z).mean()

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """x as stored: uint8 (B, *shape) up to 256 levels, else int64."""
        x = self.distribution(z).sample()
        return x.to(torch.uint8) if self.levels <= 256 else x
