"""Flow++ coupling: each dimension passes through the CDF of its own mixture of logistics.

Ho et al. (2019), arXiv:1902.00275, eqs. 12-15. No closed inverse: monotone, so bisection.
Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid


def mixture_logit(x: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor):
    """y = logit F(x) and log dy/dx, with F the CDF of a mixture of K logistics, elementwise.

    x (...,); the parameters (..., K). All in log space: log F and log(1 - F) are both log-sum-exps,
    so neither tail is lost. dy/dx = f / (F (1 - F)).
    """
    t = (x.unsqueeze(-1) - means) * (-log_scales).exp()  # (..., K)
    log_weights, log_up, log_down = log_softmax(logits, -1), logsigmoid(t), logsigmoid(-t)
    log_cdf = torch.logsumexp(log_weights + log_up, -1)
    log_tail = torch.logsumexp(log_weights + log_down, -1)
    log_pdf = torch.logsumexp(log_weights + log_up + log_down - log_scales, -1)
    return log_cdf - log_tail, log_pdf - log_cdf - log_tail


@torch.no_grad()
def bisect(function, y: Tensor, low: Tensor, high: Tensor, tol: float, max_iter: int) -> Tensor:
    """Solve function(x) = y for an increasing elementwise function, starting from a bracket.

    The bracket is widened until it holds the answer, then halved until it is shorter than ``tol``
    (or no longer gets shorter in floating point).

    Raises
    ------
    RuntimeError
        If ``max_iter`` steps were not enough.
    """
    for _ in range(max_iter):
        width = high - low
        short, long = function(low) > y, function(high) < y
        if not (short.any() or long.any()):
            break
        low, high = torch.where(short, low - width, low), torch.where(long, high + width, high)
    for _ in range(max_iter):
        middle = (low + high) / 2
        if ((high - low <= tol) | (middle <= low) | (middle >= high)).all():
            return middle
        below = function(middle) < y
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    raise RuntimeError(f"bisection did not reach {tol} in {max_iter} steps")


class LogisticMixtureCoupling(nn.Module):
    """One half passes through mixture CDFs chosen by the other half, then scale, shift and swap.

    y = exp(a) logit(F(b)) + shift, Flow++ eq. 14-15. ``net`` maps (B, C/2, ...) to
    (B, (C/2)(2 + 3K), ...): shift, a, and K logits, means and log-scales for each dimension.

    Parameters
    ----------
    net : the conditioner.
    components : number K of logistics in each mixture.
    max_log_scale : bound of the outer log-scale a, by a tanh.
    spread : start of the component means, evenly spaced over [-spread, spread].
    sharpness : bound of the components' log-scales, by a tanh.
    """

    def __init__(
        self,
        net: nn.Module,
        components: int,
        max_log_scale: float = 2.0,
        spread: float = 2.0,
        sharpness: float = 3.0,
    ):
        super().__init__()
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        self.net, self.components = net, components
        self.max_log_scale, self.sharpness = max_log_scale, sharpness
        # saved with the weights: the learned means are offsets from just these numbers
        self.register_buffer("centres", torch.linspace(-spread, spread, components))

    def _mixture(self, a: Tensor, like: Tensor) -> tuple[Tensor, ...]:
        """Shift and log-scale (B, C/2, ...), mixture parameters (B, C/2, ..., K) each."""
        out = self.net(a).unflatten(1, (like.shape[1], 2 + 3 * self.components))
        out = out.movedim(2, -1)  # (B, C/2, ..., 2 + 3K)
        shift, s = out[..., 0], out[..., 1]
        logits, means, log_scales = out[..., 2:].chunk(3, dim=-1)
        log_scale = self.max_log_scale * torch.tanh(s / self.max_log_scale)
        log_scales = self.sharpness * torch.tanh(log_scales / self.sharpness)
        return shift, log_scale, logits, means + self.centres, log_scales

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| (B,), nats."""
        if x.shape[1] % 2:
            raise ValueError(f"a coupling needs an even number of channels, x has {x.shape[1]}")
        a, b = x.chunk(2, dim=1)
        shift, log_scale, *mixture = self._mixture(a, b)
        y, log_slope = mixture_logit(b, *mixture)
        z = torch.cat((y * log_scale.exp() + shift, a), dim=1)
        return z, (log_slope + log_scale).flatten(1).sum(1)

    def inverse(self, z: Tensor, tol: float | None = None, max_iter: int = 200) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...) within ``tol`` (None: 8 units of precision), by bisection.

        Raises
        ------
        RuntimeError
            If the bisection did not reach ``tol`` within ``max_iter`` steps.
        """
        tol = 8 * torch.finfo(z.dtype).eps if tol is None else tol
        b, a = z.chunk(2, dim=1)
        shift, log_scale, *mixture = self._mixture(a, b)
        y = (b - shift) * (-log_scale).exp()
        # every component's CDF has logit y at mean + scale * y: the mixture's answer lies between
        ends = mixture[1] + mixture[2].exp() * y.unsqueeze(-1)
        low, high = ends.amin(-1) - 1e-3, ends.amax(-1) + 1e-3
        x = bisect(lambda t: mixture_logit(t, *mixture)[0], y, low, high, tol, max_iter)
        return torch.cat((a, x), dim=1)
