"""Laws of sequences with exactly known likelihood and entropy rate: a resonator, real or quantised.

A resonator is white noise through x_t = a x_{t-1} + b x_{t-2} + noise; its poles at
radius * exp(+-2 pi i frequency) make it ring at `frequency` cycles per sample.
"""

import math

import torch
from torch import Tensor

from dgm.data.dataset import check_at_least, check_positive


def resonator(radius: float, frequency: float) -> tuple[float, float]:
    """Coefficients a, b of the recursion with these poles."""
    if not 0 < radius < 1:
        raise ValueError(f"radius must be between 0 and 1 to be stationary, got {radius!r}")
    if not 0 <= frequency <= 0.5:
        raise ValueError(f"frequency must be in cycles per sample, 0 to 0.5, got {frequency!r}")
    return 2 * radius * math.cos(2 * math.pi * frequency), -(radius**2)


class Autoregressive2:
    """The stationary Gaussian process x_t = a x_{t-1} + b x_{t-2} + noise * eps_t."""

    def __init__(self, length: int, radius: float, frequency: float, noise: float):
        check_at_least("length", length, 2)
        check_positive("noise", noise)
        self.length, self.noise = length, noise
        self.a, self.b = resonator(radius, frequency)
        self.correlation = self.a / (1 - self.b)  # of neighbours (Yule-Walker)
        second = self.a * self.correlation + self.b  # correlation at lag 2
        self.variance = noise**2 / (1 - self.a * self.correlation - self.b * second)

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, T) -> (B,) nats, exact."""
        if x.ndim != 2 or x.shape[1] != self.length or not x.is_floating_point():
            raise ValueError(
                f"x must be floating point (B, {self.length}), got {x.dtype} {tuple(x.shape)}"
            )
        rest = self.variance * (1 - self.correlation**2)
        first = x[:, 0] ** 2 / self.variance + math.log(2 * math.pi * self.variance)
        second = (x[:, 1] - self.correlation * x[:, 0]) ** 2 / rest + math.log(2 * math.pi * rest)
        eps = (x[:, 2:] - self.a * x[:, 1:-1] - self.b * x[:, :-2]) / self.noise
        later = (eps**2 + math.log(2 * math.pi * self.noise**2)).sum(1)
        return -(first + second + later) / 2

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Sequences (n, T) float32; there are no labels."""
        eps = torch.randn(self.length, n, generator=generator)
        x = [eps[0] * math.sqrt(self.variance)]
        spread = math.sqrt(self.variance * (1 - self.correlation**2))
        x.append(self.correlation * x[0] + spread * eps[1])
        for t in range(2, self.length):
            x.append(self.a * x[-1] + self.b * x[-2] + self.noise * eps[t])
        return torch.stack(x, 1), None

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Sequences (n, T) float32."""
        return self.draw(n, generator)[0]

    def entropy_rate(self) -> float:
        """Nats per sample, closed form."""
        return math.log(2 * math.pi * math.e * self.noise**2) / 2

    def entropy(self) -> float:
        """Nats per sequence, closed form."""
        first = math.log(2 * math.pi * math.e * self.variance) / 2
        second = first + math.log(1 - self.correlation**2) / 2
        return first + second + (self.length - 2) * self.entropy_rate()


class QuantisedAutoregressive2:
    """The resonator on levels 0 .. K-1: a second-order Markov chain, started stationary.

    p(x_t | x_{t-1}, x_{t-2}) is a Gaussian around the recursion (about the middle level, kept
    within the levels), evaluated at the levels and normalised.
    """

    def __init__(self, length: int, levels: int, radius: float, frequency: float, noise: float):
        check_at_least("length", length, 2)
        check_at_least("levels", levels, 2)
        check_positive("noise", noise)
        if levels > 128:
            raise ValueError(f"levels must be at most 128, got {levels}")
        self.length, self.levels = length, levels
        a, b = resonator(radius, frequency)
        level = torch.arange(levels, dtype=torch.float64) - (levels - 1) / 2
        mean = (b * level[:, None] + a * level).clamp(level[0].item(), level[-1].item())
        distance = (level - mean[..., None]) / noise
        self.log_transition = (-(distance**2) / 2).log_softmax(
            2
        )  # (K, K, K): x_{t-2}, x_{t-1}, x_t
        self.log_start = self._stationary().log()  # (K, K) of two neighbours

    def _stationary(self) -> Tensor:
        """Law (K, K) of two neighbours that one step leaves as it is, by power iteration."""
        transition = self.log_transition.exp()
        pair = torch.full((self.levels, self.levels), self.levels**-2.0, dtype=torch.float64)
        for _ in range(10_000):
            after = torch.einsum("ab,abc->bc", pair, transition)
            if (after - pair).abs().sum() < 1e-13:
                break
            pair = after
        return after / after.sum()

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, T) integers -> (B,) float64 nats, exact."""
        if x.ndim != 2 or x.shape[1] != self.length or x.is_floating_point():
            raise ValueError(
                f"x must be integers (B, {self.length}), got {x.dtype} {tuple(x.shape)}"
            )
        if x.numel() and not 0 <= x.min() <= x.max() < self.levels:
            raise ValueError(f"x must be in 0 .. {self.levels - 1}, got {x.min()} .. {x.max()}")
        start, transition = self.log_start.to(x.device), self.log_transition.to(x.device)
        x = x.long()
        return start[x[:, 0], x[:, 1]] + transition[x[:, :-2], x[:, 1:-1], x[:, 2:]].sum(1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Sequences (n, T) int64; there are no labels."""
        first = torch.multinomial(self.log_start.exp().flatten(), n, True, generator=generator)
        x = [first // self.levels, first % self.levels]
        cumulative = self.log_transition.exp().cumsum(2)
        u = torch.rand(self.length, n, 1, generator=generator, dtype=torch.float64)
        for t in range(2, self.length):
            after = torch.searchsorted(cumulative[x[-2], x[-1]], u[t])[:, 0]
            x.append(after.clamp(max=self.levels - 1))
        return torch.stack(x, 1), None

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Sequences (n, T) int64."""
        return self.draw(n, generator)[0]

    def entropy_rate(self) -> float:
        """Nats per sample, exact: the mean entropy of a transition under the stationary law."""
        each = torch.special.entr(self.log_transition.exp()).sum(2)  # (K, K)
        return float((self.log_start.exp() * each).sum())

    def entropy(self) -> float:
        """Nats per sequence, exact."""
        start = float(torch.special.entr(self.log_start.exp()).sum())
        return start + (self.length - 2) * self.entropy_rate()
