"""The same model of x with its code turned, z' = U z: nothing that x says can tell them apart.

The impossibility of disentanglement without labels or biases: Locatello et al. (2019),
arXiv:1811.12359, theorem 1, whose proof has such maps. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


def random_rotation(d: int, seed: int = 0) -> Tensor:
    """An orthogonal (d, d) matrix, drawn evenly (Haar)."""
    if d < 1:
        raise ValueError(f"d must be at least 1, got {d}")
    made = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(d, d, generator=made, dtype=torch.float64))
    return q * r.diagonal().sign()


class TurnedPosterior:
    """The law of U z for z of ``law``; ``mean`` is turned, densities are as they were."""

    def __init__(self, law: object, rotation: Tensor):
        self.law, self.rotation, self.mean = law, rotation, law.mean @ rotation.T

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """U z (*sample_shape, B, d)."""
        return self.law.rsample(sample_shape) @ self.rotation.T

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of turned codes z (..., B, d), nats."""
        return self.law.log_prob(z @ self.rotation)


class TurnedPrior(nn.Module):
    """The law of U z for z of ``law``: of N(0, I) that is N(0, I) itself."""

    def __init__(self, law: nn.Module, rotation: Tensor):
        super().__init__()
        self.law = law
        self.register_buffer("rotation", rotation)

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of turned codes z (B, d), nats."""
        return self.law.log_prob(z @ self.rotation)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n turned codes (n, d)."""
        return self.law.sample(n, generator=generator) @ self.rotation.T


class RotatedCode(nn.Module):
    """A VAE whose code is U z: p(x|z') = p(x | U^T z'), q(z'|x) that of U z, p(z') that of U z.

    Parameters
    ----------
    vae : nn.Module
        ``data``, ``posterior(x)``, ``likelihood(z)``, ``prior``.
    rotation : Tensor
        U (d, d), orthogonal.

    Raises
    ------
    ValueError
        U is not orthogonal.
    """

    def __init__(self, vae: nn.Module, rotation: Tensor):
        super().__init__()
        gap = rotation @ rotation.T - torch.eye(len(rotation)).to(rotation)
        if gap.abs().max() > 1e-4:
            raise ValueError(f"rotation must be orthogonal, it is off by {gap.abs().max():.2g}")
        self.vae, self.data = vae, vae.data
        self.register_buffer("rotation", rotation)
        self.prior = TurnedPrior(vae.prior, rotation)

    def posterior(self, x: Tensor) -> TurnedPosterior:
        """q(z'|x), for x (B, *shape)."""
        return TurnedPosterior(self.vae.posterior(x), self.rotation)

    def likelihood(self, z: Tensor) -> object:
        """p(x|z'), for z' (B, d)."""
        return self.vae.likelihood(z @ self.rotation)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound on log p(x) with k draws (B,), nats: that of the VAE, draw by draw."""
        q = self.posterior(x)
        logs = []
        for _ in range(self.data.count(k, "k", least=1)):
            z = q.rsample()
            logs.append(self.likelihood(z).log_prob(x) + self.prior.log_prob(z) - q.log_prob(z))
        return torch.stack(logs).logsumexp(0) - math.log(k)

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats."""
        return self.iw_bound(x, 1)
