"""A bell on a sphere as posterior: the von Mises-Fisher law, with the exact gradient of its draws.

Davidson, Falorsi, De Cao, Kipf and Tomczak (2018), arXiv:1804.00891, section 3; sampler: Wood
(1994), Comm. Statist. 23; implicit gradient: Figurnov, Mohamed and Mnih (2018), arXiv:1805.08498,
eq. 5. A product of several spheres: Davidson et al. (2019), arXiv:1910.02912. Needs torch only.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

PROPOSALS = 6  # of Wood's sampler at a time; each is accepted with a probability of .66 or more
TAIL = 36.0  # e^-36 of the density is left out of the integrals


@lru_cache(maxsize=4)
def _gauss_legendre(n: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes and weights of Gauss-Legendre quadrature on [0, 1], by Newton's method."""
    nodes, weights = [], []
    for i in range(n):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(8):
            before, p = 1.0, x
            for k in range(2, n + 1):
                before, p = p, ((2 * k - 1) * x * p - (k - 1) * before) / k
            slope = n * (x * p - before) / (x * x - 1)
            x -= p / slope
        nodes.append((1 - x) / 2)
        weights.append(1 / ((1 - x * x) * slope * slope))
    return tuple(nodes), tuple(weights)


def _on_unit_interval(like: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (n,) like a tensor; the more dimensions, the narrower what they measure."""
    nodes, weights = _gauss_legendre(max(64, 8 * math.isqrt(m)))
    return like.new_tensor(nodes), like.new_tensor(weights)


def _angle(drop: Tensor) -> Tensor:
    """The angle whose cosine is 1 - drop, without loss where drop is small."""
    return 2 * torch.atan2(drop.sqrt(), (2 - drop).sqrt())


def _drop(angle: Tensor) -> Tensor:
    """1 - cos(angle), without loss where the angle is small."""
    return 2 * torch.sin(angle / 2).square()


def angle_law(kappa: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """log of the integral of e^{-kappa (1 - cos t)} sin(t)^{m-2} over 0 < t < pi; mean of 1 - cos.

    The angle t of a draw to its mean has this density. Both are sums of positive numbers, so there
    is nothing to cancel: right in float32 for every kappa, as is what autograd makes of them.
    """
    nodes, weights = _on_unit_interval(kappa, m)
    least = torch.clamp((m / 2 + 6 * math.sqrt(m) + TAIL) / kappa.detach(), max=2.0)
    end = _angle(least)[..., None]
    angle = end * nodes  # (..., nodes)
    log_f = (weights * end).log() + (m - 2) * torch.sin(angle).clamp_min(1e-30).log()
    log_f = log_f - kappa[..., None] * _drop(angle)
    return log_f.logsumexp(-1), (log_f.softmax(-1) * _drop(angle)).sum(-1)


@torch.no_grad()
def angle_slope(angle: Tensor, kappa: Tensor, m: int) -> Tensor:
    """d angle / d kappa of a draw that keeps its rank, shaped like both: the implicit gradient.

    With G its distribution function and g its density it is -(dG / dkappa) / g: the integral of
    (mean of 1 - cos minus 1 - cos) g up to the angle, or from it on: no term changes its sign.
    """
    nodes, weights = _on_unit_interval(kappa, m)
    mean, drop = angle_law(kappa, m)[1], _drop(angle)
    far = _angle(torch.clamp(drop + (TAIL + 6 * math.sqrt(m)) / kappa, max=2.0))
    end = torch.where(drop < mean, torch.zeros_like(far), far)
    at = angle[..., None] + (end - angle)[..., None] * nodes  # (..., nodes), from the draw on
    grows = kappa[..., None] * (drop[..., None] - _drop(at))
    if m > 2:
        ratio = torch.sin(at).clamp_min(1e-30) / torch.sin(angle)[..., None].clamp_min(1e-30)
        grows = grows + (m - 2) * ratio.log()
    part = ((mean[..., None] - _drop(at)) * grows.exp() * weights).sum(-1)
    return part * (end - angle)


def reflect_onto(mean: Tensor, z: Tensor) -> Tensor:
    """Turn z (..., m) by the orthogonal map that takes e1 = (1, 0, ..., 0) to ``mean`` (..., m).

    A Householder reflection to the mean or its opposite, the farther: a bounded gradient.
    """
    sign = torch.where(mean[..., :1] > 0, -1.0, 1.0).to(mean)
    first = torch.zeros_like(mean)
    first[..., 0] = 1
    u = normalize(first - sign * mean, dim=-1)
    return sign * (z - 2 * u * (u * z).sum(-1, keepdim=True))


class VonMisesFisher:
    """q(z) proportional to exp(kappa mean^T z) on K spheres of R^m, for z (B, K, m).

    The density is with respect to the surface. Own methods: ``kl``, ``entropy``, ``angles``.

    Parameters
    ----------
    mean : Tensor
        (B, K, m), unit vectors, m >= 2.
    kappa : Tensor
        (B, K), above 0: the concentration.

    Raises
    ------
    ValueError
        Wrong shapes, m below 2, a mean off the sphere, or kappa not positive and finite.

    Examples
    --------
    >>> q = VonMisesFisher(torch.tensor([[[0.0, 0.0, 1.0]]]), torch.tensor([[10.0]]))
    >>> q.kl()  # from the uniform law of the sphere, nats
    tensor([1.9957])
    """

    def __init__(self, mean: Tensor, kappa: Tensor):
        if mean.ndim != 3 or mean.shape[:2] != kappa.shape or mean.shape[2] < 2:
            said = f"{tuple(mean.shape)} and {tuple(kappa.shape)}"
            raise ValueError(f"mean must be (B, K, m), m >= 2, and kappa (B, K); got {said}")
        if not ((kappa > 0) & kappa.isfinite()).all():
            raise ValueError("kappa must be positive and finite")
        if not ((mean.norm(dim=-1) - 1).abs() < 1e-3).all():
            raise ValueError("mean must be unit vectors")
        self.mean, self.kappa, self.m = mean, kappa, mean.shape[-1]

    def angles(self, uniform: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        """Wood's proposals: the angle to the mean (...,), and whether each is accepted.

        ``uniform`` (..., B, K, m) are uniform points of the sphere; one at the angle s to e1 goes
        to t with tan(t / 2) = sqrt(b) tan(s / 2), and stays with a probability that is exact.
        ``chance`` (..., B, K) are uniform numbers.
        """
        n = self.m - 1
        b = n / (2 * self.kappa + torch.hypot(2 * self.kappa, self.kappa.new_tensor(float(n))))
        half = torch.atan2(uniform[..., 1:].norm(dim=-1), 1 + uniform[..., 0])
        angle = 2 * torch.atan2(b.sqrt() * half.sin(), half.cos())
        ratio = 0.5 * (1 + b) / (1 - (1 - b) * half.sin().square())
        return angle, n * (ratio.log() - ratio + 1) >= chance.log()

    @torch.no_grad()
    def _around_e1(
        self, shape: tuple[int, ...], generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Angles (*shape, B, K) to the mean, and directions around it (*shape, B, K, m - 1)."""
        size, like = (*shape, *self.kappa.shape), self.kappa
        if self.m == 3:  # the distribution function has an inverse
            u = like.new_empty(size).uniform_(generator=generator)
            drop = -torch.log1p(u * torch.expm1(-2 * like)) / like
            side = like.new_empty((*size, 2)).normal_(generator=generator)
            return _angle(drop.clamp(0, 2)), normalize(side, dim=-1)
        # proposals by the dozen: of each column the first that is accepted
        angle, side = like.new_zeros(size), like.new_zeros((*size, self.m - 1))
        open_ = torch.ones(size, dtype=torch.bool, device=like.device)
        while open_.any():
            point = like.new_empty((PROPOSALS, *size, self.m)).normal_(generator=generator)
            point = normalize(point, dim=-1)
            chance = like.new_empty(point.shape[:-1]).uniform_(generator=generator)
            proposed, taken = self.angles(point, chance)
            first = taken.int().argmax(0, keepdim=True)
            found = proposed.gather(0, first)[0]
            away = point.gather(0, first[..., None].expand(1, *point.shape[1:]))[0]
            angle = torch.where(open_, found, angle)
            side = torch.where(open_[..., None], normalize(away[..., 1:], dim=-1), side)
            open_ = open_ & ~taken.any(0)
        return angle, side

    def rsample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Tensor:
        """z (*sample_shape, B, K, m), unit vectors, with a gradient in mean and kappa."""
        angle, side = self._around_e1(tuple(sample_shape), generator)
        if torch.is_grad_enabled() and self.kappa.requires_grad:
            kappa = self.kappa.detach().expand_as(angle)
            slope = angle_slope(angle, kappa, self.m)
            angle = angle + slope * (self.kappa - self.kappa.detach())  # the value stays
        angle = angle[..., None]
        z = torch.cat((angle.cos(), angle.sin() * side), dim=-1)
        return reflect_onto(self.mean.expand_as(z), z)

    def _log_peak(self) -> tuple[Tensor, Tensor]:
        """log density at the mean, and the mean of 1 - cos of the angle to it, (B, K) each."""
        total, drop = angle_law(self.kappa, self.m)
        half = (self.m - 1) / 2  # the sphere across, of one dimension less
        log_across = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return -total - log_across, drop

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) (..., B), nats per surface, exact, at unit vectors z (..., B, K, m)."""
        drop = 0.5 * (z - self.mean).square().sum(-1)  # 1 - mean^T z, without cancellation
        return (self._log_peak()[0] - self.kappa * drop).sum(-1)

    def entropy(self) -> Tensor:
        """(B,) nats with respect to the surface, exact."""
        log_peak, drop = self._log_peak()
        return (self.kappa * drop - log_peak).sum(-1)

    def kl(self) -> Tensor:
        """KL from the uniform law of the spheres (B,), nats, exact; the means do not enter."""
        half = self.m / 2
        log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return self.mean.shape[1] * log_area - self.entropy()


class VonMisesFisherEncoder(nn.Module):
    """u -> q(z|x), a `VonMisesFisher` on K spheres of R^m.

    Parameters
    ----------
    net : nn.Module
        Maps u (B, ...) to (B, K (m + 1)): K directions, then K numbers for the concentrations.
    m, n_spheres : int
        Numbers of a point, at least 2 (its sphere has m - 1 dimensions), and K.
    least : float
        Concentrations are least + softplus: a posterior cannot become uniform at once.

    Examples
    --------
    >>> q = VonMisesFisherEncoder(nn.Linear(5, 4), m=3)(torch.randn(7, 5))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([7, 1, 3]), torch.Size([7]))
    """

    def __init__(self, net: nn.Module, m: int, n_spheres: int = 1, least: float = 1.0):
        super().__init__()
        if m < 2 or n_spheres < 1:
            raise ValueError(f"m must be at least 2 and n_spheres 1, got {m} and {n_spheres}")
        if not 0 < least < math.inf:
            raise ValueError(f"least must be above 0 and finite, got {least}")
        self.net, self.m, self.n_spheres, self.least = net, m, n_spheres, least

    def forward(self, u: Tensor) -> VonMisesFisher:
        """Scaled data u (B, ...) -> q(z|x) over (B, K, m)."""
        out, need = self.net(u), (len(u), self.n_spheres * (self.m + 1))
        if out.shape != need:
            raise ValueError(f"net must give shape {need}, K (m + 1); got {tuple(out.shape)}")
        direction, raw = out.split((self.n_spheres * self.m, self.n_spheres), dim=1)
        direction = direction.view(len(u), self.n_spheres, self.m)
        first = torch.zeros_like(direction)
        first[..., 0] = 1e-6  # a direction for the zero vector too
        return VonMisesFisher(normalize(direction + first, dim=-1), softplus(raw) + self.least)
