"""A deep mixture: a network turns fixed codes into components, and the likelihood stays exact.

Deep latent variable model and floor: Mattei & Frellsen (2018), arXiv:1802.04826, eqs. 1-2 and
section 2. A finite set of codes as the prior: Bishop, Svensen & Williams (1998, the generative
topographic mapping), doi:10.1162/089976698300017953; Correia et al. (2023), arXiv:2209.10584.
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


def normal_codes(n: int, dim: int, seed: int = 0) -> Tensor:
    """n codes (n, dim) spread evenly under N(0, I): scrambled Sobol points through quantiles."""
    if n < 1 or dim < 1 or seed < 0:
        raise ValueError(f"n and dim are at least 1 and seed at least 0, got {n}, {dim}, {seed}")
    uniform = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed).draw(n)
    return torch.special.ndtri(uniform.clamp(1e-4, 1 - 1e-4))


def normal_grid(n: int, reach: float = 6.0) -> tuple[Tensor, Tensor]:
    """A grid (n, 1) on [-reach, reach] and the log weights (n,) of N(0, 1) on it.

    Summing over it is the trapezoid rule for the integral over a 1-D latent, whose error falls
    faster than any power of 1/n for a smooth decoder.
    """
    if n < 1 or not 0 < reach < math.inf:
        raise ValueError(f"n is at least 1 and reach positive, got {n} and {reach}")
    z = torch.linspace(-reach, reach, n)
    return z[:, None], (-0.5 * z.square()).log_softmax(0)


class GaussianDecoder(nn.Module):
    """p(x | z) = N(mean(z), diag(variance(z)) + floor * I) for x (B, D).

    ``net`` maps codes (K, d) to (K, 2 D), mean and log variance, of points in units of ``spread``
    from ``origin``: 1 and 0 until `start_from`. With floor = 0 the likelihood has no maximum; with
    floor > 0 no log density exceeds -(D/2) log(2 pi floor). ``data`` is a `Reals` (support.py) of
    points (D,): ``shape``, ``check(x)``.
    """

    def __init__(self, net: nn.Module, data: object, floor: float = 0.0):
        super().__init__()
        if not 0 <= floor < math.inf:
            raise ValueError(f"floor is a variance, finite and at least 0, got {floor}")
        self.net, self.data, self.floor = net, data, floor
        self.register_buffer("origin", torch.zeros(data.shape))
        self.register_buffer("spread", torch.ones(data.shape))

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance at the codes z, (K, D) each."""
        mean, log_variance = self.net(z).chunk(2, dim=1)
        variance = log_variance.exp() * self.spread.square() + self.floor
        return self.origin + self.spread * mean, variance

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Measure from the mean of x (N, D), in units of its standard deviation."""
        x = self.data.check(x)
        if len(x) < 2 or not (x.std(0) > 0).all():
            raise ValueError(f"x must hold 2 rows or more that differ, got {len(x)}")
        self.origin.copy_(x.mean(0))
        self.spread.copy_(x.std(0))

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_b | z_k), (B, K) nats."""
        mean, variance = self.moments(z)
        squared = (x[:, None, :] - mean).square() / variance  # (B, K, D)
        return -0.5 * (squared + variance.log() + math.log(2 * math.pi)).sum(-1)

    def sample(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """One x for each code, (n, D)."""
        mean, variance = self.moments(z)
        return mean + variance.sqrt() * torch.empty_like(mean).normal_(generator=generator)


class CategoricalDecoder(nn.Module):
    """p(x | z) = prod_d p_d(x_d | z) for integers x (B, *shape) in 0 .. levels-1, with

    log p_d(v | z) = sum_r net(z)_dr * features_rv + background_dv - log of the sum over v.

    ``net`` maps codes (K, d) to (K, D * n_features). The features of a value are learned, and
    begin as v and v^2, scaled: with these alone every pixel is a Gaussian read at the integers.
    ``data``, a `Levels` (support.py), has ``dims``, ``levels``, ``stored(v)``, ``frequencies(x)``.
    """

    values_at_once = 50_000_000  # codes x pixels x levels whose logits exist at a time

    def __init__(self, net: nn.Module, data: object, n_features: int = 2):
        super().__init__()
        data.count(n_features, "n_features", least=1)
        self.net, self.data = net, data
        v = torch.linspace(-1, 1, data.levels)
        self.features = nn.Parameter(torch.stack([v ** (r + 1) for r in range(n_features)]))
        self.background = nn.Parameter(torch.zeros(data.dims, data.levels))

    def table(self, z: Tensor) -> Tensor:
        """log p of every value of every pixel at the codes z, (K, D, levels)."""
        h = self.net(z).view(len(z), len(self.background), -1)  # (K, D, n_features)
        return (h @ self.features + self.background).log_softmax(2)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to how often every value occurs at every pixel of x (N, *shape)."""
        self.background.copy_(self.data.frequencies(x).log().view_as(self.background))

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_b | z_k), (B, K) nats: one matrix product, less the log sums of every code.

        The sums are taken over ``values_at_once`` values at a time, which bounds the memory.
        """
        h, x = self.net(z), x.flatten(1).long()  # (K, D * n_features), (B, D)
        own = self.features.T[x].flatten(1)  # (B, D * n_features)
        at = torch.arange(x.shape[1], device=x.device)
        apart = self.background[at, x].sum(1, keepdim=True)  # (B, 1)
        rows = max(1, self.values_at_once // self.background.numel())
        norm = [self._log_sums(part) for part in h.split(rows)]
        return own @ h.T + apart - torch.cat(norm)

    def _log_sums(self, h: Tensor) -> Tensor:
        """Log of the sum over all values, added up over the pixels: (K, D * n_features) -> (K,)."""
        h = h.view(len(h), len(self.background), -1)
        return (h @ self.features + self.background).logsumexp(2).sum(1)

    def sample(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """One x for each code, (n, *shape) as stored."""
        probs = self.table(z).exp().flatten(0, 1)
        x = torch.multinomial(probs, 1, generator=generator).view(len(z), *self.data.shape)
        return self.data.stored(x)


class DeepMixture(nn.Module):
    """p(x) = sum_k w_k p(x | z_k): K components, one for each code, made by one decoder.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``shape``, ``check(x)``, ``stored(v)``, ``count(n)``.
    decoder : nn.Module
        ``log_prob(x, z) -> (B, K)``, ``sample(z, generator=None) -> x``, ``start_from(x)``.
    codes : (K, d)
        Where the prior has its mass; a buffer.
    log_weights : (K,), optional
        Logarithms of the masses w_k, normalised here; equal when left out.
    n_drawn : int, optional
        Train on this many codes, drawn anew for every batch, rather than on all K.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> data = Levels((1, 2, 2), 3)
    >>> decoder = CategoricalDecoder(nn.Linear(2, 4 * 2), data)
    >>> model = DeepMixture(data, decoder, normal_codes(8, 2))
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        data: object,
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
        if n_drawn is not None and data.count(n_drawn, "n_drawn", least=1) > len(codes):
            raise ValueError(f"n_drawn lies in 1 .. {len(codes)}, got {n_drawn}")
        self.data, self.decoder, self.n_drawn = data, decoder, n_drawn
        self.register_buffer("codes", codes.clone())
        self.register_buffer("log_weights", log_weights.log_softmax(0))

    @property
    def prior(self) -> Categorical:
        """p(z): which of the codes."""
        return Categorical(logits=self.log_weights)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, z_k), (B, K) nats, exact."""
        x = self.data.check(x, trusted=self.training)
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
        x = self.data.check(x, trusted=self.training)
        k = torch.randperm(len(self.codes), device=self.codes.device)[: self.n_drawn]
        joint = self.log_weights[k] + self.decoder.log_prob(x, self.codes[k])
        return math.log(len(k) / len(self.codes)) - joint.logsumexp(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(z_k | x) over the K codes."""
        return Categorical(logits=self.joint_log_prob(x))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape) as stored: a code, then the decoder's draw, in eval mode.

        The generator lives on the model's device.
        """
        if self.data.count(n) == 0:
            return self.data.stored(self.codes.new_empty(0, *self.data.shape))
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        k = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        x = self.decoder.sample(self.codes[k], generator=generator)
        for module, mode in modes:
            module.training = mode
        return x

    def start_from(self, x: Tensor) -> None:
        """Let the decoder begin from the training data x (N, *shape)."""
        self.decoder.start_from(x)
