"""An autoregressive prior over codes: every coordinate a small mixture given those before it.

Chain rule; mixtures of Gaussians as conditionals: Uria, Murray and Larochelle (2013),
arXiv:1306.0186, section 3. As the prior of a VAE: Chen et al. (2017), arXiv:1611.02731, section
3.2. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class AutoregressivePrior(nn.Module):
    """p(z) = prod_i sum_k w_ik N(z_i; m_ik, s_ik^2), all three functions of z_1 .. z_(i-1).

    Density in one pass, samples in ``dim``.

    Parameters
    ----------
    net : z (B, dim) -> (B, dim, 3 K), row i a function of z_1 .. z_(i-1): logits of w, m, log s.
    dim : size of z. n_components : K. reach : a constant spread of the K means at the start, so
        that they are not all alike.

    Raises
    ------
    ValueError : dim or n_components below 1.

    Examples
    --------
    >>> flat = nn.Module()
    >>> flat.forward = lambda z: z.new_zeros(len(z), 2, 3)
    >>> AutoregressivePrior(flat, 2, 1).log_prob(torch.zeros(1, 2))  # -log(2 pi)
    tensor([-1.8379])
    """

    def __init__(self, net: nn.Module, dim: int, n_components: int = 4, reach: float = 1.0):
        super().__init__()
        for name, value in (("dim", dim), ("n_components", n_components)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.net, self.dim = net, dim
        spread = torch.linspace(-reach, reach, n_components) if n_components > 1 else torch.zeros(1)
        self.register_buffer("spread", spread, persistent=False)

    def conditionals(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z (B, dim) -> log weights, means and log-scales of every coordinate, (B, dim, K) each."""
        logits, mean, s = self.net(z).chunk(3, dim=2)
        return logits.log_softmax(2), mean + self.spread, 4 * torch.tanh(s / 4)

    def log_prob(self, z: Tensor) -> Tensor:
        """Exact log density (B,), nats, at z (B, dim)."""
        log_w, mean, log_scale = self.conditionals(z)
        off = (z[:, :, None] - mean) * (-log_scale).exp()
        parts = log_w - 0.5 * off.square() - log_scale - 0.5 * math.log(2 * math.pi)
        return parts.logsumexp(2).sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws (n, dim), coordinate after coordinate."""
        like = next(self.net.parameters(), self.spread)
        z = torch.zeros(n, self.dim, dtype=like.dtype, device=like.device)
        for i in range(self.dim):
            log_w, mean, log_scale = (t[:, i] for t in self.conditionals(z))  # (n, K)
            k = torch.multinomial(log_w.exp(), 1)
            chosen, spread = mean.gather(1, k)[:, 0], log_scale.gather(1, k)[:, 0].exp()
            z[:, i] = chosen + spread * torch.randn_like(chosen)
        return z
