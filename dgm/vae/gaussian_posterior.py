"""An approximate posterior: a diagonal Gaussian whose mean and log variance a network reads off x.

Kingma and Welling (2014), arXiv:1312.6114, eq. 9 and appendix B (closed form of the KL).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal


class GaussianPosterior(nn.Module):
    """q(z|x) = N(mean(x), diag exp(log_var(x))), drawn by z = mean + std * eps.

    Parameters
    ----------
    net : maps x (B, ...) to (B, 2 latent_dim), means then log variances.
    latent_dim : dimensions d of z.
    levels : given, x holds integers 0 .. levels - 1 and is scaled to [-1, 1] before ``net``.
    max_log_var : bound on the size of the log variance, by a tanh.

    Examples
    --------
    >>> z, log_q = GaussianPosterior(nn.Linear(5, 4), 2)(torch.zeros(3, 5))
    >>> z.shape, log_q.shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(
        self, net: nn.Module, latent_dim: int, levels: int | None = None, max_log_var: float = 10.0
    ):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {latent_dim}")
        if levels is not None and levels < 2:
            raise ValueError(f"levels must be at least 2, or None for real x, got {levels}")
        if max_log_var <= 0:
            raise ValueError(f"max_log_var must be above 0, got {max_log_var}")
        self.net, self.latent_dim, self.levels = net, latent_dim, levels
        self.max_log_var = max_log_var

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z given x, (B, d) each."""
        if self.levels is not None:
            x = x.to(next(self.parameters(), torch.empty(0)).dtype) * (2 / (self.levels - 1)) - 1
        out = self.net(x)
        if out.shape != (len(x), 2 * self.latent_dim):
            need = (len(x), 2 * self.latent_dim)
            raise ValueError(
                f"net must give shape {need}, latent_dim twice; got {tuple(out.shape)}"
            )
        mean, log_var = out.chunk(2, dim=1)
        return mean, self.max_log_var * torch.tanh(log_var / self.max_log_var)

    def distribution(self, x: Tensor) -> Independent:
        """q(z|x) as an object of torch.distributions: batch (B,), event (d,)."""
        mean, log_var = self.moments(x)
        return Independent(Normal(mean, (0.5 * log_var).exp(), validate_args=False), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One reparameterised draw z (B, d) and its exact log density log q(z|x) (B,), nats."""
        return self.draws(x, 1)

    def draws(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """k draws of each x, one x after another: (B k, d) and (B k,); the net runs once per x."""
        mean, log_var = (t.repeat_interleave(k, 0) for t in self.moments(x))
        eps = torch.randn_like(mean)
        log_q = -0.5 * (eps.square() + log_var + math.log(2 * math.pi)).sum(1)
        return mean + (0.5 * log_var).exp() * eps, log_q

    def kl(self, x: Tensor) -> Tensor:
        """KL(q(z_j|x) || N(0, 1)) of every unit in closed form, (B, d) nats."""
        mean, log_var = self.moments(x)
        return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
