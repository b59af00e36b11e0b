"""An approximate posterior: a diagonal Gaussian whose mean and log variance a network reads off x.

Kingma and Welling (2014), arXiv:1312.6114, eq. 9 and appendix B (closed form of the KL).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal


class GaussianPosterior(Independent):
    """N(mean, diag exp(log_var)) over z (B, d), drawn by z = mean + stddev * eps.

    A distribution of torch: it also has ``mean``, ``stddev``, ``variance`` and ``entropy()``.

    Parameters
    ----------
    mean, log_var : Tensor
        (B, d) each.

    Examples
    --------
    >>> GaussianPosterior(torch.ones(1, 1), torch.zeros(1, 1)).kl()  # mean = stddev = 1: a half
    tensor([0.5000])
    """

    def __init__(self, mean: Tensor, log_var: Tensor):
        self.log_var = log_var
        stddev = (0.5 * log_var).exp()
        super().__init__(Normal(mean, stddev, validate_args=False), 1, validate_args=False)

    def from_noise(self, eps: Tensor) -> Tensor:
        """The draw z made of standard normal noise eps (..., B, d)."""
        return self.mean + self.stddev * eps

    def rsample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Tensor:
        """z (*sample_shape, B, d), with a gradient in mean and log_var."""
        shape, like = (*sample_shape, *self.mean.shape), self.mean
        eps = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.from_noise(eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) (..., B), nats, exact, at any z (..., B, d)."""
        eps = (z - self.mean) / self.stddev
        return -0.5 * (eps.square() + self.log_var + math.log(2 * math.pi)).sum(-1)

    def unit_kl(self) -> Tensor:
        """KL(q(z_j|x) || N(0, 1)) of every unit in closed form, (B, d) nats."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)

    def kl(self) -> Tensor:
        """KL(q(z|x) || N(0, I)) in closed form, (B,) nats."""
        return self.unit_kl().sum(1)


class GaussianEncoder(nn.Module):
    """u -> q(z|x), a `GaussianPosterior`.

    Parameters
    ----------
    net : nn.Module
        Maps u (B, ...) to (B, 2 latent_dim), means then log variances.
    latent_dim : int
        Dimensions d of z.
    max_log_var : float
        Bound on the size of the log variance, by a tanh.
    log_std : bool
        The second half of the network's numbers are log standard deviations: half the log variance,
        so that the same step of an optimiser changes the width twice as much.

    Examples
    --------
    >>> q = GaussianEncoder(nn.Linear(5, 4), 2)(torch.zeros(3, 5))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(
        self, net: nn.Module, latent_dim: int, max_log_var: float = 10.0, log_std: bool = False
    ):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {latent_dim}")
        if max_log_var <= 0:
            raise ValueError(f"max_log_var must be above 0, got {max_log_var}")
        self.net, self.latent_dim, self.max_log_var = net, latent_dim, max_log_var
        self.log_std = log_std

    def forward(self, u: Tensor) -> GaussianPosterior:
        """Scaled data u (B, ...) -> q(z|x) over (B, d)."""
        out = self.net(u)
        need = (len(u), 2 * self.latent_dim)
        if out.shape != need:
            raise ValueError(
                f"net must give shape {need}, latent_dim twice; got {tuple(out.shape)}"
            )
        mean, log_var = out.chunk(2, dim=1)
        log_var = 2 * log_var if self.log_std else log_var
        return GaussianPosterior(mean, self.max_log_var * torch.tanh(log_var / self.max_log_var))
