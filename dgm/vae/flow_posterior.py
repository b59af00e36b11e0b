"""A posterior made of a Gaussian and a stack of invertible layers that all see the example.

Rezende and Mohamed (2015), arXiv:1505.05770, eqs. 13-15; van den Berg et al. (2018),
arXiv:1803.05649, section 2.2. Needs torch only.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FlowPosterior(nn.Module):
    """q(z|x): z_0 ~ N(m(x), diag s(x)^2), then layers z_t = f_t(z_(t-1); h(x)).

    log q(z_T|x) = log N(z_0; m, s^2) - sum_t log|det dz_t / dz_(t-1)|, exact along every draw. No
    layers: the diagonal Gaussian.

    Parameters
    ----------
    encoder : maps x to a context h (B, C); integers 0 .. levels - 1 are scaled to [-1, 1] first.
    start : maps h to (B, 2 d): mean and log-scale (bounded by +-5 through a tanh) of z_0.
    layers : modules called as ``layer(z, h) -> (z', log_det (B,))``.
    levels : number of grey levels; None for real values, which are not scaled.

    Raises
    ------
    ValueError : levels below 2.

    Examples
    --------
    >>> posterior = FlowPosterior(nn.Identity(), nn.Linear(3, 4), [])
    >>> z, log_q = posterior(torch.randn(5, 3))
    >>> z.shape, log_q.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        start: nn.Module,
        layers: Iterable[nn.Module],
        levels: int | None = None,
    ):
        super().__init__()
        if levels is not None and levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.encoder, self.start, self.levels = encoder, start, levels
        self.layers = nn.ModuleList(layers)

    def context(self, x: Tensor) -> Tensor:
        """x (B, ...) as stored -> h (B, C), what all layers see."""
        if self.levels is not None:
            x = x.to(next(self.parameters()).dtype) * (2 / (self.levels - 1)) - 1
        return self.encoder(x)

    def forward(self, x: Tensor, eps: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> one draw z (B, d) and log q(z|x) (B,), nats, exact.

        ``eps`` (B, d) is the standard normal noise the draw is made of; fresh unless given.
        """
        h = self.context(x)
        mean, s = self.start(h).chunk(2, dim=1)  # each (B, d)
        log_scale = 5 * torch.tanh(s / 5)
        eps = torch.randn_like(mean) if eps is None else eps
        z = mean + log_scale.exp() * eps
        log_q = -(0.5 * eps.square() + log_scale + 0.5 * math.log(2 * math.pi)).sum(1)
        for layer in self.layers:
            z, log_det = layer(z, h)
            log_q = log_q - log_det
        return z, log_q
