"""A deep mixture: a network turns fixed codes into components, and the likelihood stays exact.

Deep latent variable model and floor: Mattei & Frellsen (2018), arXiv:1802.04826, eqs. 1-2 and
section 2. A finite set of codes as the prior: Bishop, Svensen & Williams (1998, the generative
topographic mapping), doi:10.1162/089976698300017953; Correia et al. (2023), arXiv:2209.10584.
Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical


def normal_codes(n: int, dim: int, seed: int = 0) -> Tensor:
    """n codes (n, dim) spread evenly under N(0, I): scrambled Sobol points through quantiles."""
    uniform = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed).draw(n)
    return torch.special.ndtri(uniform.clamp(1e-4, 1 - 1e-4))


def normal_grid(n: int, reach: float = 6.0) -> tuple[Tensor, Tensor]:
    """A grid (n, 1) on [-reach, reach] and the log weights (n,) of N(0, 1) on it.

    Summing over it is the trapezoid rule for the integral over a 1-D latent, whose error falls
    faster than any power of 1/n for a smooth decoder.
    """
    z = torch.linspace(-reach, reach, n)
    return z[:, None], (-0.5 * z.square()).log_softmax(0)


class GaussianDecoder(nn.Module):
    """p(x | z) = N(mean(z), diag(variance(z)) + floor * I) for x (B, D).

    ``net`` maps codes (K, d) to (K, 2 D), mean and log variance. With floor = 0 the likelihood has
    no maximum; with floor > 0 no log density exceeds -(D/2) log(2 pi floor).
    """

    def __init__(self, net: nn.Module, floor: float = 0.0):
        super().__init__()
        if not 0 <= floor < math.inf:
            raise ValueError(f"floor is a variance, finite and at least 0, got {floor}")
        self.net, self.floor = net, floor

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance at the codes z, (K, D) each."""
        mean, log_variance = self.net(z).chunk(2, dim=1)
        return mean, log_variance.exp() + self.floor

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_b | z_k), (B, K) nats."""
        mean, variance = self.moments(z)
        if x.ndim != 2 or x.shape[1] != mean.shape[1] or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {mean.shape[1]}), B >= 1")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold finite floats, got {x.dtype} (NaN and infinity refused)")
        squared = (x[:, None, :] - mean).square() / variance  # (B, K, D)
        return -0.5 * (squared + variance.log() + math.log(2 * math.pi)).sum(-1)

    def sample(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One x for each code, (n, D)."""
        mean, variance = self.moments(z)
        return mean + variance.sqrt() * torch.empty_like(mean).normal_(generator=generator)


class CategoricalDecoder(nn.Module):
    """p(x | z) = prod_d p_d(x_d | z) for integers x (B, *shape) in 0 .. levels-1, with

    log p_d(v | z) = sum_r net(z)_dr * features_rv + background_dv - log of the sum over v.

    ``net`` maps codes (K, d) to (K, D * n_features). The features of a value are learned, and
    begin as v and v^2, scaled: with these alone every pixel is a Gaussian read at the integers.
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...], levels: int, n_features: int = 2):
        super().__init__()
        if levels < 2 or n_features < 1:
            raise ValueError(f"levels >= 2 and n_features >= 1, got {levels} and {n_features}")
        self.net, self.shape, self.levels = net, tuple(shape), levels
        v = torch.linspace(-1, 1, levels)
        self.features = nn.Parameter(torch.stack([v ** (r + 1) for r in range(n_features)]))
        self.background = nn.Parameter(torch.zeros(math.prod(shape), levels))

    def table(self, z: Tensor) -> Tensor:
        """log p of every value of every pixel at the codes z, (K, D, levels)."""
        h = self.net(z).view(len(z), len(self.background), -1)  # (K, D, n_features)
        return (h @ self.features + self.background).log_softmax(2)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to how often every value occurs at every pixel of x (N, *shape)."""
        counts = F.one_hot(x.flatten(1).long(), self.levels).sum(0) + 0.5  # (D, levels)
        self.background.copy_((counts / counts.sum(1, keepdim=True)).log())

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_b | z_k), (B, K) nats."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        v = x.flatten(1).long()
        if not torch.equal(v.to(x.dtype), x.flatten(1)) or v.min() < 0 or v.max() >= self.levels:
            raise ValueError(
                f"x must hold integers in 0 .. {self.levels - 1}, "
                f"got {x.dtype} in {x.min().item()} .. {x.max().item()}"
            )
        table = self.table(z).flatten(1)
        return F.one_hot(v, self.levels).flatten(1).to(table.dtype) @ table.T

    def sample(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One x for each code, (n, *shape), uint8 up to 256 levels, else int64."""
        probs = self.table(z).exp().flatten(0, 1)
        x = torch.multinomial(probs, 1, generator=generator).view(len(z), *self.shape)
        return x.to(torch.uint8) if self.levels <= 256 else x


class DeepMixture(nn.Module):
    """p(x) = sum_k w_k p(x | z_k): K components, one for each code, made by one decoder.

    Parameters
    ----------
    decoder : nn.Module
        ``log_prob(x, z) -> (B, K)`` and ``sample(z) -> x``.
    codes : (K, d)
        Where the prior has its mass; a buffer.
    log_weights : (K,), optional
        Logarithms of the masses w_k, normalised here; equal when left out.
    n_drawn : int, optional
        Train on this many codes, drawn anew for every batch, rather than on all K.

    Examples
    --------
    >>> decoder = CategoricalDecoder(nn.Linear(2, 4 * 2), (1, 2, 2), levels=3)
    >>> model = DeepMixture(decoder, normal_codes(8, 2))
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        decoder: nn.Module,
        codes: Tensor,
        log_weights: Tensor | None = None,
        n_drawn: int | None = None,
    ):
        super().__init__()
        if codes.ndim != 2 or len(codes) == 0:
            raise ValueError(f"codes is (K, d) with K >= 1, got shape {tuple(codes.shape)}")
        log_weights = codes.new_zeros(len(codes)) if log_weights is None else log_weights
        if log_weights.shape != codes.shape[:1]:
            raise ValueError(f"log_weights is ({len(codes)},), got {tuple(log_weights.shape)}")
        if n_drawn is not None and not 1 <= n_drawn <= len(codes):
            raise ValueError(f"n_drawn lies in 1 .. {len(codes)}, got {n_drawn}")
        self.decoder, self.n_drawn = decoder, n_drawn
        if hasattr(decoder, "levels"):
            self.shape, self.levels = decoder.shape, decoder.levels
        self.register_buffer("codes", codes.clone())
        self.register_buffer("log_weights", log_weights.log_softmax(0))

    @property
    def prior(self) -> Categorical:
        """p(z): which of the codes."""
        return Categorical(logits=self.log_weights)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, z_k), (B, K) nats, exact."""
        return self.log_weights + self.decoder.log_prob(x, self.codes)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density or mass, (B,) nats."""
        return self.joint_log_prob(x).logsumexp(1)

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density or mass, (B,) nats.

        In training mode with ``n_drawn`` it is a noisy upper bound: the sum runs over a random part
        of the codes, scaled up so that its mean is p(x); the mean of its log lies below log p(x).
        """
        if not self.training or self.n_drawn is None:
            return -self.log_prob(x)
        k = torch.randperm(len(self.codes), device=self.codes.device)[: self.n_drawn]
        joint = self.log_weights[k] + self.decoder.log_prob(x, self.codes[k])
        return math.log(len(k) / len(self.codes)) - joint.logsumexp(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(z_k | x) over the K codes."""
        return Categorical(logits=self.joint_log_prob(x))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, ...): a code, then the decoder's draw."""
        k = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        return self.decoder.sample(self.codes[k], generator)
