"""How many terms of an infinite series are computed, and what each then counts.

Fixed: truncated, biased. Random: Russian roulette, Kahn (1955); Chen et al. (2019), Residual flows,
arXiv:1906.02735, eqs. 6-7: a term that is computed with probability P(N >= k) counts 1 / P(N >= k),
and the mean is that of the whole series. Needs torch only.
"""

import torch


class FixedTerms:
    """The first n terms, each once: the series is cut off."""

    def __init__(self, n: int):
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.n = n

    def weights(self) -> list[float]:
        """What terms 1, 2, ... count."""
        return [1.0] * self.n


class _Roulette:
    """The first ``n_exact`` terms always, and M more, M drawn anew at every call."""

    def __init__(self, n_exact: int = 2):
        if n_exact < 0:
            raise ValueError(f"n_exact must be at least 0, got {n_exact}")
        self.n_exact = n_exact

    def draw(self) -> int:
        """M >= 0."""
        raise NotImplementedError

    def at_least(self, m: int) -> float:
        """P(M >= m)."""
        raise NotImplementedError

    def weights(self) -> list[float]:
        """What terms 1, 2, ... count this time: 1 where they are sure, else 1 / P(M >= m)."""
        extra = range(1, self.draw() + 1)
        return [1.0] * self.n_exact + [1 / self.at_least(m) for m in extra]


class GeometricTerms(_Roulette):
    """P(M >= m) = (1 - p)^m: after every term beyond the sure ones the series ends with chance p.

    The variance is finite where the spectral radius of the Jacobian is below sqrt(1 - p).
    """

    def __init__(self, p: float = 0.5, n_exact: int = 2):
        super().__init__(n_exact)
        if not 0 < p < 1:
            raise ValueError(f"p must be above 0 and below 1, got {p}")
        self.p = p

    def draw(self) -> int:
        """M >= 0."""
        return int(torch.log(1 - torch.rand(())).item() / torch.log1p(torch.tensor(-self.p)).item())

    def at_least(self, m: int) -> float:
        """P(M >= m)."""
        return (1 - self.p) ** m


class PoissonTerms(_Roulette):
    """M is Poisson: its tail is thinner than any geometric one, so late terms count enormously."""

    def __init__(self, rate: float = 2.0, n_exact: int = 2):
        super().__init__(n_exact)
        if rate <= 0:
            raise ValueError(f"rate must be positive, got {rate}")
        self.rate = rate

    def draw(self) -> int:
        """M >= 0."""
        return int(torch.poisson(torch.tensor(float(self.rate))).item())

    def at_least(self, m: int) -> float:
        """P(M >= m)."""
        m, rate = torch.tensor(float(m)).double(), torch.tensor(self.rate).double()
        return torch.special.gammainc(m, rate).item()
