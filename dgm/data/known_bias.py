"""A table with a bias that is known: every best decision, fair or not, in closed form.

A group s, a task y whose share differs by group, merit that depends on y alone, a proxy that
depends on s alone, all stirred so that no column says which it is.
"""

import math

import torch
from torch import Tensor

from dgm.data.census import SensitiveTable, sensitive_parts
from dgm.data.dataset import check_at_least
from dgm.distribution.support import Reals

Phi = torch.special.ndtr


class KnownBias:
    """P(s = 1) = .4, P(y = 1 | s) = .3, .7; merit m ~ N(+-1.2, 1) by y, proxy p ~ N(+-1, 1) by s.

    x (6,) holds two columns of merit, two of the proxy, two of noise, turned by a fixed rotation
    and bent by asinh(2 v): nothing is lost, but no column shows one of them.
    """

    share, rates, merit, proxy, dims = 0.4, (0.3, 0.7), 1.2, 1.0, 6

    def __init__(self):
        made = torch.Generator().manual_seed(7)
        self.turn = torch.linalg.qr(torch.randn(6, 6, generator=made, dtype=torch.float64))[0]

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """x (n, 6), s (n,) and y (n,)."""
        s = (torch.rand(n, generator=generator) < self.share).long()
        y = (torch.rand(n, generator=generator) < torch.tensor(self.rates)[s]).long()
        u = torch.randn(n, 6, generator=generator, dtype=torch.float64)
        u[:, :2] += (self.merit / math.sqrt(2)) * (2 * y - 1)[:, None]
        u[:, 2:4] += (self.proxy / math.sqrt(2)) * (2 * s - 1)[:, None]
        return torch.asinh(2 * (u @ self.turn.T)).float(), s, y

    def causes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Merit and proxy (N,) of x (N, 6): all that x says of y and of s."""
        u = (torch.sinh(x.double()) / 2) @ self.turn
        return u[:, :2].sum(1) / math.sqrt(2), u[:, 2:4].sum(1) / math.sqrt(2)

    # --- decisions "yes where merit > t_s" --------------------------------------------------------

    def rates_of(self, t: Tensor, s: int) -> tuple[Tensor, Tensor]:
        """P(yes | y = 1) and P(yes | y = 0) at thresholds t (T,), the same in any group."""
        return Phi(self.merit - t), Phi(-self.merit - t)

    def outcome(self, t0: Tensor, t1: Tensor) -> dict[str, Tensor]:
        """Exact accuracy, parity gap and odds gap of thresholds t0 and t1 (T,) of the groups."""
        accuracy, chosen, odds = 0.0, [], []
        for share, rate, t in (
            (1 - self.share, self.rates[0], t0),
            (self.share, self.rates[1], t1),
        ):
            true, false = self.rates_of(t, 0)
            accuracy = accuracy + share * (rate * true + (1 - rate) * (1 - false))
            chosen.append(rate * true + (1 - rate) * false)
            odds.append(torch.stack((true, false)))
        parity = (chosen[1] - chosen[0]).abs()
        return {"accuracy": accuracy, "parity": parity, "odds": (odds[1] - odds[0]).abs().amax(0)}

    def best_thresholds(self, price: Tensor) -> tuple[Tensor, Tensor]:
        """Thresholds that maximise accuracy - price * (P(yes|s=1) - P(yes|s=0)), exact, (T,) each.

        In group s: yes where share_s (2 P(y=1|m, s) - 1) exceeds +- price, and P(y=1|m, s) is the
        logistic function of 2 merit m + logit(rate_s).
        """
        found = []
        signed = ((1 - self.share, self.rates[0], -1), (self.share, self.rates[1], 1))
        for share, rate, sign in signed:
            need = torch.logit((1 + sign * price / share) / 2)
            found.append((need - math.log(rate / (1 - rate))) / (2 * self.merit))
        return found[0], found[1]

    def frontier(self, n: int = 60) -> dict[str, Tensor]:
        """Best decisions that know x and s, from free to equal parity; exact, (n,) each."""
        low, high = 0.0, 0.99 * self.share
        for _ in range(60):  # the price at which the rates cross
            middle = torch.tensor((low + high) / 2, dtype=torch.float64)
            t0, t1 = self.best_thresholds(middle)
            chosen = [r * Phi(self.merit - t) + (1 - r) * Phi(-self.merit - t)
                      for r, t in zip(self.rates, (t0, t1), strict=True)]  # fmt: skip
            low, high = (middle.item(), high) if chosen[1] > chosen[0] else (low, middle.item())
        price = torch.linspace(0, low, n, dtype=torch.float64)
        return {"price": price} | self.outcome(*self.best_thresholds(price))

    def equal_odds(self, n: int = 2001) -> dict[str, float]:
        """The most accurate decision with equal odds: one threshold of merit for both groups."""
        t = torch.linspace(-4, 4, n, dtype=torch.float64)
        found = self.outcome(t, t)
        at = found["accuracy"].argmax()
        return {name: value[at].item() for name, value in found.items()} | {"t": t[at].item()}

    # --- decisions that see x alone ---------------------------------------------------------------

    def blind(self, n: int = 801) -> dict[str, float]:
        """The best guesses of y and of s from x alone, by quadrature over merit and proxy.

        ``accuracy``, ``parity`` and ``odds`` of the guess of y; ``group``, that of s.
        """
        # joint masses of (s, y) at every node of the grid
        v = torch.linspace(-8, 8, n, dtype=torch.float64)
        law = torch.distributions.Normal(0.0, 1.0)
        step = (v[1] - v[0]).item()
        of_m = [(law.log_prob(v + c * self.merit)).exp() * step for c in (1, -1)]  # y = 0, 1
        of_p = [(law.log_prob(v + c * self.proxy)).exp() * step for c in (1, -1)]  # s = 0, 1
        mass = {}
        for s, share in ((0, 1 - self.share), (1, self.share)):
            for y, rate in ((0, 1 - self.rates[s]), (1, self.rates[s])):
                mass[s, y] = share * rate * of_m[y][:, None] * of_p[s][None]
        # the guesses
        yes = mass[0, 1] + mass[1, 1] > mass[0, 0] + mass[1, 0]
        right = torch.where(yes, mass[0, 1] + mass[1, 1], mass[0, 0] + mass[1, 0]).sum().item()
        group = torch.maximum(mass[0, 0] + mass[0, 1], mass[1, 0] + mass[1, 1]).sum().item()
        rate = {key: (m * yes).sum() / m.sum() for key, m in mass.items()}
        chosen = [(1 - r) * rate[s, 0] + r * rate[s, 1] for s, r in enumerate(self.rates)]
        odds = max(abs(rate[1, y] - rate[0, y]).item() for y in (0, 1))
        parity = abs(chosen[1] - chosen[0]).item()
        return {"accuracy": right, "parity": parity, "odds": odds, "group": group}


def known_bias(n: int = 4000, seed: int = 0) -> SensitiveTable:
    """n rows of `KnownBias` to train on, n // 4 to validate, n to test.

    Raises
    ------
    ValueError
        n is not an integer of at least 8, or seed not one of at least 0.
    """
    check_at_least("n", n, 8)
    check_at_least("seed", seed, 0)
    law, sizes = KnownBias(), (n, n // 4, n)
    x, s, y = law.draw(sum(sizes), torch.Generator().manual_seed(seed))
    parts = sensitive_parts(x, s, y, s[:, None], sizes)
    return SensitiveTable(**parts, kind=Reals((6,)), attributes=("s",), law=law)
