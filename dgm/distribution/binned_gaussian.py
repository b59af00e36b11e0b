"""A Gaussian decoder of integers: the density is integrated over the bin of every level.

Uria et al. (2013), arXiv:1306.0186, section 4, for what goes wrong without: densities of integers
have no bits. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.special import log_ndtr


class BinnedGaussianLikelihood:
    """P(x_d = v | z) = mass of N(mean_d, exp(log_scale_d)^2) in [v - 1/2, v + 1/2].

    ``location`` and ``log_scale`` (B, *shape) are in units of levels. The bins of 0 and of levels-1
    reach to infinity, so every pixel's masses sum to one.
    """

    def __init__(self, data: object, location: Tensor, log_scale: Tensor):
        self.data, self.location, self.log_scale = data, location, log_scale

    def _log_mass(self, v: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """log mass of the bins of the integers v; a bin right of the mean is mirrored."""
        top = self.data.levels - 1
        t = (v.to(mean.dtype) - mean).abs() * -(-log_scale).exp()  # <= 0: where log Phi is exact
        half = 0.5 * (-log_scale).exp()
        near, far = log_ndtr(t + half), log_ndtr(t - half)
        inside = near + torch.log(-torch.expm1((far - near).clamp_max(-1e-7)))
        outer = ((v == 0) & (mean > 0)) | ((v == top) & (mean < top))
        beyond = ((v == 0) & (mean <= 0)) | ((v == top) & (mean >= top))
        return torch.where(outer, near, torch.where(beyond, log_ndtr(half - t), inside))

    @property
    def table(self) -> Tensor:
        """log mass of every level of every pixel, (B, *shape, levels) nats."""
        every = torch.arange(self.data.levels, device=self.location.device)
        return self._log_mass(every, self.location.unsqueeze(-1), self.log_scale.unsqueeze(-1))

    @property
    def mean(self) -> Tensor:
        """Expected levels (B, *shape)."""
        p = self.table.exp()
        return p @ torch.arange(self.data.levels, device=p.device, dtype=p.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        return self._log_mass(x, self.location, self.log_scale).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape): the Gaussian draw, rounded into its bin."""
        eps = torch.empty_like(self.location).normal_(generator=generator)
        return self.data.stored((self.location + self.log_scale.exp() * eps).round())


class BinnedGaussianDecoder(nn.Module):
    """z -> a Gaussian cut into bins for every pixel, a `BinnedGaussianLikelihood`.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to 2 D numbers per example, in the order (*shape, 2): mean and log scale, both
        counted from the middle of the range and a quarter of it.
    data : Levels (support.py)
        ``shape``, ``levels``, ``stored(v)``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> decoder = BinnedGaussianDecoder(nn.Linear(1, 2), Levels((1,), 17))
    >>> (decoder(torch.zeros(1, 1)).table.logsumexp(-1).abs() < 1e-5).item()
    True
    """

    def __init__(self, net: nn.Module, data: object):
        super().__init__()
        self.net, self.data = net, data

    def start_from(self, x: Tensor) -> None:
        """Hand data x (N, *shape), as stored, to a network that has a start of its own."""
        x = self.data.check(x)
        if hasattr(self.net, "start_from"):
            self.net.start_from(x)

    def forward(self, z: Tensor) -> BinnedGaussianLikelihood:
        """z (B, d) -> p(x|z)."""
        out, need = self.net(z), 2 * self.data.dims
        if out.numel() != len(z) * need:
            raise ValueError(f"net must give {need} numbers per example, got {out[0].numel()}")
        shift, log_scale = out.reshape(len(z), *self.data.shape, 2).unbind(-1)
        unit = self.data.levels / 4
        log_scale = 5 * torch.tanh(log_scale / 5) + math.log(unit)
        return BinnedGaussianLikelihood(
            self.data, (self.data.levels - 1) / 2 + unit * shift, log_scale
        )
