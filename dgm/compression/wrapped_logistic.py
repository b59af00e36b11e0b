"""Mixtures of logistics on a circle of levels: the law of what a coupling modulo levels leaves.

Discretised logistics: Hoogeboom, Peters, van den Berg and Welling (2019), arXiv:1905.07376, eq. 8;
wrapped laws: Mardia and Jupp (2000), Directional statistics, section 3.5.7. Needs torch only.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class WrappedLogisticMixture:
    """P(v) = sum_k w_k sum_j mass of the logistic of (m_k, s_k) in [v + jL - 1/2, v + jL + 1/2] / c_k.

    L levels lie on a circle: level 0 is the neighbour of level L - 1, as it is to x + t mod L. Turns
    j = -1, 0, 1 are counted, and c_k is the logistic's mass in all of them: the sum over v is one.

    Parameters
    ----------
    parameters : (..., 3 K), real: K logits of the weights, means and log scales, the last two in
        units of half the circle; log scales stay within +-``bound``, by a tanh.
    levels : number of values, at least 2.

    Examples
    --------
    >>> law = WrappedLogisticMixture(torch.randn(1, 6), levels=5)
    >>> bool((law.table().logsumexp(-1).abs() < 1e-5).all())
    True
    """

    def __init__(self, parameters: Tensor, levels: int, bound: float = 7.0):
        if parameters.ndim < 1 or parameters.shape[-1] % 3 or not parameters.shape[-1]:
            shape = tuple(parameters.shape)
            raise ValueError(f"parameters must have shape (..., 3 K) with K >= 1, got {shape}")
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        logits, means, log_scales = parameters.chunk(3, -1)  # (..., K) each
        self.log_weights, self.levels = logits.log_softmax(-1), levels
        self.means = torch.remainder((means + 1) * levels / 2, levels)  # 0 .. L
        self.scales = levels / 2 * (bound * torch.tanh(log_scales / bound)).exp()

    def log_prob(self, v: Tensor) -> Tensor:
        """Log mass (...) of levels v (...), integers or floats that hold them, nats.

        Raises ValueError if v is not shaped like the parameters without their last dimension.
        """
        if v.shape != self.means.shape[:-1]:
            need = tuple(self.means.shape[:-1])
            raise ValueError(f"v must have shape {need}, got {tuple(v.shape)}")
        return self._log_mass(v.unsqueeze(-1), self.log_weights, self.means, self.scales)

    def table(self) -> Tensor:
        """Log mass of every level, (..., levels) nats."""
        every = torch.arange(self.levels, dtype=self.means.dtype, device=self.means.device)
        rest = (t.unsqueeze(-2) for t in (self.log_weights, self.means, self.scales))
        return self._log_mass(every[:, None], *rest)

    def _log_mass(self, v: Tensor, log_weights: Tensor, means: Tensor, scales: Tensor) -> Tensor:
        """Levels v (..., 1) against K components (..., K) -> (...)."""
        turns = self.levels * torch.arange(-1.0, 2.0, dtype=means.dtype, device=means.device)
        t = (v - means).unsqueeze(-1) + turns  # (..., K, 3)
        s = scales.unsqueeze(-1)
        # log of F(b) - F(a) at b > a: log F(b) + log F(-a) + log(1 - exp(a - b))
        inside = logsigmoid((t + 0.5) / s) + logsigmoid((0.5 - t) / s)
        inside = inside.logsumexp(-1) + torch.log(-torch.expm1(-1 / scales))
        low, high = -self.levels - 0.5 - means, 2 * self.levels - 0.5 - means
        total = logsigmoid(high / scales) + logsigmoid(-low / scales)
        total = total + torch.log(-torch.expm1((low - high) / scales))
        return torch.logsumexp(log_weights + inside - total, -1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One level for every place, int64 (...)."""
        p = self.table().exp()
        if p.numel() == 0:
            return p[..., 0].long()
        drawn = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
        return drawn.view(p.shape[:-1])
