"""A Gaussian decoder of integers: the density is integrated over the bin of every level.

Uria et al. (2013), arXiv:1306.0186, section 4, for what goes wrong without: densities of integers
have no bits. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.special import log_ndtr


class BinnedGaussianLikelihood(nn.Module):
    """P(x_d = v | z) = mass of N(mean_d(z), scale_d(z)^2) in [v - 1/2, v + 1/2].

    The bins of 0 and of levels - 1 reach to infinity, so every pixel's masses sum to one.

    Parameters
    ----------
    net : maps z (B, d) to 2 D numbers per example, in the order (*shape, 2): mean and log scale,
        both counted from the middle of the range and a quarter of it.
    shape : shape of one example. levels : number of values, at least 2.

    Examples
    --------
    >>> likelihood = BinnedGaussianLikelihood(nn.Linear(1, 2), (1,), levels=17)
    >>> (likelihood.table(torch.zeros(1, 1)).logsumexp(-1).abs() < 1e-5).item()
    True
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...], levels: int):
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.net, self.shape, self.levels = net, tuple(shape), levels

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale in units of levels, (B, *shape) each."""
        out = self.net(z).reshape(len(z), *self.shape, -1)
        if out.shape[-1] != 2:
            need, got = 2 * math.prod(self.shape), out[0].numel()
            raise ValueError(f"net must give {need} numbers per example, got {got}")
        unit = self.levels / 4
        log_scale = 5 * torch.tanh(out[..., 1] / 5) + math.log(unit)
        return (self.levels - 1) / 2 + unit * out[..., 0], log_scale

    def _log_mass(self, v: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """log mass of the bins of the integers v; a bin right of the mean is mirrored."""
        t = (v.to(mean.dtype) - mean).abs() * -(-log_scale).exp()  # <= 0: where log Phi is exact
        half = 0.5 * (-log_scale).exp()
        near, far = log_ndtr(t + half), log_ndtr(t - half)
        inside = near + torch.log(-torch.expm1((far - near).clamp_max(-1e-7)))
        outer = ((v == 0) & (mean > 0)) | ((v == self.levels - 1) & (mean < self.levels - 1))
        beyond = ((v == 0) & (mean <= 0)) | ((v == self.levels - 1) & (mean >= self.levels - 1))
        return torch.where(outer, near, torch.where(beyond, log_ndtr(half - t), inside))

    def table(self, z: Tensor) -> Tensor:
        """log mass of every level of every pixel, (B, *shape, levels) nats."""
        mean, log_scale = (t.unsqueeze(-1) for t in self.moments(z))
        return self._log_mass(torch.arange(self.levels, device=mean.device), mean, log_scale)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x (B >= 1, *shape) holds integers in 0 .. levels - 1."""
        if tuple(x.shape[1:]) != self.shape or x.is_floating_point() or len(x) == 0:
            raise ValueError(
                f"x must be integers (B > 0, {self.shape}), got {x.dtype} {tuple(x.shape)}"
            )
        if int(x.min()) < 0 or int(x.max()) >= self.levels:
            raise ValueError(
                f"x must be in 0 .. {self.levels - 1}, got {int(x.min())} .. {int(x.max())}"
            )

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        return self._log_mass(x, *self.moments(z)).flatten(1).sum(1)

    def mean(self, z: Tensor) -> Tensor:
        """Expected levels (B, *shape)."""
        p = self.table(z).exp()
        return p @ torch.arange(self.levels, device=p.device, dtype=p.dtype)

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """x as stored: the Gaussian draw, rounded into its bin; uint8 up to 256 levels."""
        mean, log_scale = self.moments(z)
        x = (mean + log_scale.exp() * torch.randn_like(mean)).round().clamp(0, self.levels - 1)
        return x.to(torch.uint8 if self.levels <= 256 else torch.int64)
