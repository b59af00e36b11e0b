"""Denoisers that need not be learned: of a mixture of Gaussians in any noise, in closed form.

The mean of the data given what was seen, and the score: Tweedie's formula, Robbins (1956); Efron
(2011), doi:10.1198/jasa.2011.tm11181. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class MixtureInNoise(nn.Module):
    """p_s(x) = sum_k w_k N(x; m_k, (v_k + s^2) I): density, score and denoiser for every noise s.

    Parameters
    ----------
    weights : (K,), positive, summing to one.
    means : (K, D).
    variances : (K,), positive: of every entry within a component.

    Notes
    -----
    Own methods: ``denoised``, E[x | x + s eps]. As a ``predictor(z, gamma)`` it takes z in the
    coordinates in which the variance is kept.

    Examples
    --------
    >>> law = MixtureInNoise(torch.ones(1), torch.tensor([[1.0]]), torch.tensor([3.0]))
    >>> law.denoised(torch.tensor([[5.0]]), torch.ones(1))  # 1 + 3 / 4 (5 - 1)
    tensor([[4.]])
    """

    def __init__(self, weights: Tensor, means: Tensor, variances: Tensor):
        super().__init__()
        if not (weights > 0).all() or not math.isclose(weights.sum().item(), 1, abs_tol=1e-5):
            raise ValueError(f"weights must be positive and sum to one, got {weights}")
        if means.shape[:1] != weights.shape or variances.shape != weights.shape:
            raise ValueError(f"means (K, D), variances (K,), got {means.shape}, {variances.shape}")
        if not (variances > 0).all():
            raise ValueError(f"variances must be positive, got {variances}")
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("means", means, persistent=False)
        self.register_buffer("variances", variances, persistent=False)

    def _joint(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """log w_k N(x; m_k, .) (B, K), and variances in noise (B, K)."""
        var = self.variances + s.square()[:, None]
        away = (x[:, None] - self.means).square().sum(-1)
        normal = -0.5 * (away / var + x.shape[1] * (2 * math.pi * var).log())
        return self.weights.log() + normal, var

    def log_prob(self, x: Tensor, s: Tensor | None = None) -> Tensor:
        """log p_s(x) (B,) nats, of x (B, D) and s (B,); without s that of the data."""
        return self._joint(x, x.new_zeros(len(x)) if s is None else s)[0].logsumexp(1)

    def score(self, x: Tensor, s: Tensor | None = None) -> Tensor:
        """Gradient of log p_s at x, (B, D)."""
        joint, var = self._joint(x, x.new_zeros(len(x)) if s is None else s)
        pull = (self.means - x[:, None]) / var[..., None]  # (B, K, D)
        return (joint.softmax(1)[..., None] * pull).sum(1)

    def denoised(self, x: Tensor, s: Tensor) -> Tensor:
        """E[data | data + s eps = x] = x + s^2 score, (B, D)."""
        return x + s.square()[:, None] * self.score(x, s)

    def forward(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> Tensor:
        """x_hat of z = alpha x + sigma eps, (B, D), for gamma (B,)."""
        alpha = torch.sigmoid(-gamma).sqrt()
        return self.denoised(z / alpha[:, None], (0.5 * gamma).exp())

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of the data, (n, D)."""
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        eps = torch.empty(n, self.means.shape[1]).to(self.means).normal_(generator=generator)
        return self.means[k] + self.variances[k].sqrt()[:, None] * eps
