"""Linear autoregression of a time series: a Gaussian around a weighted sum of the last few values.

Yule (1927), doi:10.1098/rsta.1927.0007; Box & Jenkins (1970), Time Series Analysis, chapter 3.
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class LinearAutoregression(nn.Module):
    """p(x_t | before) = N(sum_k a_k x_{t-k}, s^2) for t > lags, the first values by their own.

    The first ``lags`` values, which lack a full past, have coefficients and scales each of their
    own, so that a stationary process has its exact law from the first value on.

    Parameters
    ----------
    data : Reals (support.py)
        Of shape (T,): ``shape``, ``check(x)``, ``count(n)``.
    lags : int
        How many values back each looks, 1 .. T - 1.

    Notes
    -----
    Own methods: ``entropy_rate``, nats per value in the long run.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> LinearAutoregression(Reals((8,)), lags=2)(torch.zeros(5, 8)).shape  # mean, log scale
    torch.Size([5, 8, 2])
    """

    def __init__(self, data: object, lags: int = 2):
        super().__init__()
        if len(data.shape) != 1:
            raise ValueError(f"data must be series of shape (T,), got {data.shape}")
        length = data.shape[0]
        if not 1 <= lags < length:
            raise ValueError(f"lags must lie in 1 .. {length - 1} for length {length}, got {lags}")
        self.data, self.length, self.lags = data, length, lags
        self.coefficients = nn.Parameter(torch.zeros(lags))  # a_1, ..., a_lags
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.first = nn.Parameter(torch.zeros(lags, lags))  # used below the diagonal
        self.first_log_scale = nn.Parameter(torch.zeros(lags))

    def _past(self, x: Tensor) -> Tensor:
        """The values before each t >= lags, (B, T - lags, lags), the last one first."""
        return x.unfold(1, self.lags, 1)[:, :-1].flip(2)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """The maximum of the likelihood of x (N, T): least squares, in closed form."""
        x = self.data.check(x)
        past, now = self._past(x).reshape(-1, self.lags), x[:, self.lags :].reshape(-1, 1)
        weights = torch.linalg.lstsq(past, now).solution
        self.coefficients.copy_(weights[:, 0])
        self.log_scale.copy_((now - past @ weights).square().mean().log() / 2)
        for t in range(self.lags):
            rest = x[:, t]
            if t:
                self.first[t, :t] = torch.linalg.lstsq(x[:, :t], x[:, t : t + 1]).solution[:, 0]
                rest = rest - x[:, :t] @ self.first[t, :t]
            self.first_log_scale[t] = rest.square().mean().log() / 2

    def forward(self, x: Tensor) -> Tensor:
        """Mean and log scale of every value given those before it, (B, T, 2)."""
        x = self.data.check(x, trusted=self.training)
        start = x[:, : self.lags] @ self.first.tril(-1).T
        mean = torch.cat((start, self._past(x) @ self.coefficients), 1)
        later = self.log_scale.expand(self.length - self.lags)
        log_scale = torch.cat((self.first_log_scale, later)).expand_as(mean)
        return torch.stack((mean, log_scale), 2)

    def place_terms(self, x: Tensor) -> Tensor:
        """log p(x_t | before), (B, T) nats; they add up to `log_prob`."""
        mean, log_scale = self(x).unbind(2)
        squared = ((x - mean) * (-log_scale).exp()).square()
        return -0.5 * (squared + math.log(2 * math.pi)) - log_scale

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density, (B,) nats."""
        return self.place_terms(x).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Exact negative log density, (B,) nats."""
        return -self.log_prob(x)

    def entropy_rate(self) -> float:
        """Nats per value, in the long run: the entropy of the noise."""
        return (self.log_scale + math.log(2 * math.pi * math.e) / 2).item()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw series (n, T), value after value.

        A ``generator`` lives on the model's device; equal ones give equal draws.
        """
        n = self.data.count(n)
        noise = self.coefficients.new_empty(self.length, n).normal_(generator=generator)
        x = []
        for t in range(self.length):
            weights, log_scale = self.coefficients, self.log_scale
            if t < self.lags:
                weights, log_scale = self.first[t, :t].flip(0), self.first_log_scale[t]
            past = zip(weights, reversed(x), strict=False)
            x.append(sum(a * value for a, value in past) + log_scale.exp() * noise[t])
        return torch.stack(x, 1)
