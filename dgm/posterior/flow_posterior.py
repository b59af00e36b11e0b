"""A posterior made of a Gaussian and a stack of invertible layers that all see the example.

Rezende and Mohamed (2015), arXiv:1505.05770, eqs. 13-15; van den Berg et al. (2018),
arXiv:1803.05649, section 2.2. Needs torch only.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FlowPosterior:
    """q(z|x): z_0 from a start, then layers z_t = f_t(z_(t-1); h(x)).

    log q(z_T|x) = log q(z_0|x) - sum_t log|det dz_t / dz_(t-1)|, exact along every draw. Nothing is
    ever inverted: the density of the last draw is kept, and of no other point is it known.

    Parameters
    ----------
    start : object
        q(z_0|x): ``from_noise(eps)``, ``log_prob(z)`` and ``mean`` (B, d), as `GaussianPosterior`.
    layers : list of nn.Module
        Called as ``layer(z, h) -> (z', log_det (B,))``.
    context : Tensor
        h (B, C), what all layers see of x.
    """

    def __init__(self, start: object, layers: Iterable[nn.Module], context: Tensor):
        self.start, self.layers, self.context = start, layers, context
        self._drawn, self._log_q = None, None

    def from_noise(self, eps: Tensor) -> Tensor:
        """The draw z made of standard normal noise eps (..., B, d)."""
        z = self.start.from_noise(eps)
        log_q = self.start.log_prob(z).flatten()
        rows = z.reshape(-1, z.shape[-1])
        h = self.context.expand(*eps.shape[:-1], -1).reshape(len(rows), -1)
        for layer in self.layers:
            rows, log_det = layer(rows, h)
            log_q = log_q - log_det
        self._drawn, self._log_q = rows.view(z.shape), log_q.view(z.shape[:-1])
        return self._drawn

    def rsample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Tensor:
        """z (*sample_shape, B, d), reparameterised."""
        shape, like = (*sample_shape, *self.start.mean.shape), self.start.mean
        eps = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.from_noise(eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) (..., B), nats, exact, of the last draw z (..., B, d).

        Raises
        ------
        ValueError
            z is not what `rsample` or `from_noise` gave last.
        """
        if z is not self._drawn:
            raise ValueError(
                "z must be the last draw of this posterior: layers without an inverse know the "
                "density of what they drew, and of no other point"
            )
        return self._log_q


class FlowEncoder(nn.Module):
    """u -> q(z|x), a `FlowPosterior`; without layers, what it starts from.

    Parameters
    ----------
    net : nn.Module
        Maps u (B, ...) to the context h (B, C).
    start : nn.Module
        Maps h to q(z_0|x), a `GaussianEncoder` say.
    layers : iterable of nn.Module
        Called as ``layer(z, h) -> (z', log_det (B,))``.

    Examples
    --------
    >>> from dgm.vae.gaussian_posterior import GaussianEncoder
    >>> encoder = FlowEncoder(nn.Identity(), GaussianEncoder(nn.Linear(3, 4), 2), [])
    >>> q = encoder(torch.randn(5, 3))
    >>> q.log_prob(q.rsample()).shape
    torch.Size([5])
    """

    def __init__(self, net: nn.Module, start: nn.Module, layers: Iterable[nn.Module]):
        super().__init__()
        self.net, self.start, self.layers = net, start, nn.ModuleList(layers)

    def forward(self, u: Tensor) -> object:
        """Scaled data u (B, ...) -> q(z|x) over (B, d)."""
        h = self.net(u)
        start = self.start(h)
        return FlowPosterior(start, self.layers, h) if len(self.layers) else start
