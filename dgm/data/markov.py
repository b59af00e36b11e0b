"""Laws of sequences with exactly known likelihood and entropy rate: a resonator, and its echo.

A resonator is white noise through x_t = a x_{t-1} + b x_{t-2} + noise; its poles at
radius * exp(+-2 pi i frequency) make it ring at `frequency` cycles per sample. An echo comes back
after a delay: u_t = noise + echo * u_{t-delay}, Schroeder (1962), "Natural sounding artificial
reverberation", figure 2.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dgm.data.dataset import check_at_least, check_positive
from dgm.distribution.support import Levels, Reals


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
        x = Reals((self.length,)).check(x)
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
        x = Levels((self.length,), self.levels).check(x)
        start, transition = self.log_start.to(x.device), self.log_transition.to(x.device)
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


class QuantisedEcho:
    """Puffs of noise and their echoes through a resonator, on levels 0 .. K-1, from silence on.

    With w_t = x_t - K // 2, c_t the recursion (below) of the past, rounded to whole levels, and
    e_t noise on whole numbers, w_t = c_t + e_t around a circle of K levels: a step over the top
    comes in at the bottom. So x_t brings the entropy of e_t, whatever came before, and is known
    from the past but for that, exactly. The noise goes like a Gaussian at the whole numbers.

    u_t = e_t + echo u_{t-delay} through w_t = a w_{t-1} + b w_{t-2} + u_t gives the recursion
    a w_{t-1} + b w_{t-2} + echo (w_{t-delay} - a w_{t-delay-1} - b w_{t-delay-2}).
    """

    def __init__(
        self,
        length: int,
        levels: int,
        radius: float,
        frequency: float,
        noise: float,
        delay: int,
        echo: float,
    ):
        check_at_least("length", length, 2)
        check_at_least("levels", levels, 2)
        check_at_least("delay", delay, 3)
        check_positive("noise", noise)
        if not 0 <= echo < 1:
            raise ValueError(f"echo must be at least 0 and below 1 to die away, got {echo!r}")
        self.length, self.levels, self.delay, self.echo = length, levels, delay, echo
        a, b = resonator(radius, frequency)
        self.weights = {1: a, 2: b, delay: echo, delay + 1: -echo * a, delay + 2: -echo * b}
        steps = torch.arange(levels, dtype=torch.float64) - levels // 2
        self.log_noise = (-((steps / noise) ** 2) / 2).log_softmax(0)  # (K,), e = -K // 2 first

    def _expected(self, w: Tensor) -> Tensor:
        """c_t (...) of the last delay + 2 values w (delay + 2, ...), the oldest first."""
        return sum(weight * w[-lag] for lag, weight in self.weights.items()).round()

    def place_log_prob(self, x: Tensor) -> Tensor:
        """log p of every level of x (B, T) given those before it, (B, T) float64 nats, exact."""
        x = Levels((self.length,), self.levels).check(x)
        half, memory = self.levels // 2, self.delay + 2
        w = F.pad((x - half).double(), (memory, 0))  # (B, memory + T), silence first
        before = w[:, :-1].unfold(1, memory, 1).permute(2, 0, 1)  # (memory, B, T)
        e = w[:, memory:] - self._expected(before)
        return self.log_noise.to(x.device)[(e + half).long() % self.levels]

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, T) integers -> (B,) float64 nats, exact."""
        return self.place_log_prob(x).sum(1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Sequences (n, T) int64; there are no labels."""
        half, memory = self.levels // 2, self.delay + 2
        size, noise = self.length * n, self.log_noise.exp()
        e = torch.multinomial(noise, size, True, generator=generator).view(self.length, n) - half
        w = torch.zeros(memory + self.length, n, dtype=torch.float64)
        for t in range(self.length):
            next_w = self._expected(w[t : t + memory]) + e[t]
            w[memory + t] = (next_w + half) % self.levels - half
        return (w[memory:].T + half).long(), None

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Sequences (n, T) int64."""
        return self.draw(n, generator)[0]

    def entropy_rate(self) -> float:
        """Nats per sample, exact: the entropy of the noise."""
        return float(-(self.log_noise.exp() * self.log_noise).sum())

    def entropy(self) -> float:
        """Nats per sequence, exact."""
        return self.length * self.entropy_rate()
