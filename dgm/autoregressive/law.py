"""The law of one value given those before it: a softmax over levels, or a mixture.

Levels with a few shared features in place of one logit each: ordinal regression, McCullagh (1980),
doi:10.1111/j.2517-6161.1980.tb01109.x. Mixtures of Gaussians: Uria, Murray & Larochelle (2013),
RNADE, arXiv:1306.0186, eqs. 5-9; of logistics cut into bins: Salimans et al. (2017), PixelCNN++,
arXiv:1701.05517, eqs. 1-2. Needs torch only.

Every law has the same methods, those autoregressive.py calls. The network's numbers ``out``
(..., D, out_features), or (..., 1, out_features) with place ``t``, become parameters (..., D, K).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Adjust = Callable[[Tensor], Tensor]


def _drawn_level(
    log_p: Tensor, temperature: float, adjust: Adjust | None, generator: torch.Generator | None
) -> Tensor:
    """One level (...) for every row of log masses (..., levels), p^(1/temperature) adjusted."""
    log_p = log_p / temperature
    p = (log_p if adjust is None else adjust(log_p)).softmax(-1)
    return torch.multinomial(p.flatten(0, -2), 1, generator=generator).view(p.shape[:-1])


class LevelLaw(nn.Module):
    """Levels 0 .. levels - 1: log p(v) = out @ features_v + background_tv - log of the sum.

    Parameters are the normalised log masses of all levels, K = levels.

    Parameters
    ----------
    levels : int
        At least 2.
    size : int
        D, how many values there are.
    n_features : int, optional
        Numbers by which a network moves all masses of a place, through vectors of the levels which
        all places share; they begin as the powers of the level, so that order counts from the
        start. When left out, the network gives a logit for every level.
    background : bool
        Learn logits for every place beside the network; else all places are alike.

    Examples
    --------
    >>> law = LevelLaw(3, size=2)
    >>> log_p = law(torch.zeros(1, 2, 3))  # the network says nothing: uniform
    >>> law.log_prob(log_p, torch.tensor([[0, 2]])).exp()
    tensor([[0.3333, 0.3333]], grad_fn=<ExpBackward0>)
    """

    def __init__(
        self, levels: int, size: int, n_features: int | None = None, background: bool = True
    ):
        super().__init__()
        if levels < 2 or size < 1 or (n_features is not None and n_features < 1):
            got = f"{levels}, {size} and {n_features}"
            raise ValueError(f"levels >= 2, size >= 1 and n_features >= 1 or None, got {got}")
        self.levels, self.size, self.out_features = levels, size, n_features or levels
        self.background = nn.Parameter(torch.zeros(size, levels)) if background else None
        self.features = None  # (n_features, levels)
        if n_features is not None:
            v = torch.linspace(-1, 1, levels)
            self.features = nn.Parameter(torch.stack([v ** (r + 1) for r in range(n_features)]))
        self.register_buffer("all_levels", torch.arange(levels), persistent=False)

    @torch.no_grad()
    def start_from(self, x: Tensor, data: object, order: Tensor) -> None:
        """Set the background to how often every level occurs at every place of x (N, *shape).

        ``data`` is the `Levels` x comes from, order[t] the flat index of place t.
        """
        if self.background is not None:
            self.background.copy_(data.frequencies(x).flatten(0, -2)[order].log())

    def forward(self, out: Tensor, t: int | None = None) -> Tensor:
        """Normalised log masses (..., D, levels); of place t alone, (..., 1, levels)."""
        logits = out if self.features is None else out @ self.features
        if self.background is not None:
            logits = logits + (self.background if t is None else self.background[t])
        return logits.log_softmax(-1)

    def log_prob(self, params: Tensor, v: Tensor) -> Tensor:
        """Log mass of levels v (B, D) under params (..., B, D, levels), (..., B, D) nats."""
        return params.gather(-1, v.expand(params.shape[:-1]).unsqueeze(-1)).squeeze(-1)

    def table(self, params: Tensor) -> Tensor:
        """Log mass of every level, (..., levels) nats: the parameters as they are."""
        return params

    def blank(self, n: int, size: int) -> Tensor:
        """Levels (n, size) not drawn yet."""
        return self.all_levels.new_zeros(n, size)

    def draw(
        self,
        params: Tensor,
        temperature: float = 1.0,
        adjust: Adjust | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """One level (...) for every row of params (..., levels), from p^(1/temperature)."""
        return _drawn_level(params, temperature, adjust, generator)


class LogisticMixtureLaw(nn.Module):
    """Ordered levels: a mixture of logistics, each cut into one bin a level.

    The parameters are logits of the weights, means and log scales, K = 3 n_components.

    Parameters
    ----------
    mixture : callable
        ``mixture(params (..., 3 n_components), levels)`` has ``log_prob(v)``, v (...), and
        ``table()`` (..., levels), as `DiscretizedLogisticMixture` of dgm/distribution.
    levels, size : int
        As for `LevelLaw`.
    n_components : int
        Logistics in the mixture of each place; their means begin evenly spread over -1 .. 1.

    Examples
    --------
    >>> from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
    >>> law = LogisticMixtureLaw(DiscretizedLogisticMixture, levels=17, size=4, n_components=2)
    >>> law.table(law(torch.zeros(5, 4, 6))).exp().sum(-1).mean().round(decimals=4)
    tensor(1., grad_fn=<RoundBackward1>)
    """

    def __init__(
        self,
        mixture: Callable[[Tensor, int], object],
        levels: int,
        size: int,
        n_components: int = 5,
    ):
        super().__init__()
        if levels < 2 or size < 1 or n_components < 1:
            got = f"{levels}, {size} and {n_components}"
            raise ValueError(f"levels >= 2, size >= 1 and n_components >= 1, got {got}")
        self.mixture, self.levels, self.size = mixture, levels, size
        self.out_features = 3 * n_components
        start = torch.zeros(3, n_components)  # log weights, means, log scales
        start[1], start[2] = torch.linspace(-1, 1, n_components + 2)[1:-1], -2.0
        self.background = nn.Parameter(start.flatten().repeat(size, 1))  # (D, 3 n_components)

    def start_from(self, x: Tensor, data: object, order: Tensor) -> None:
        """Nothing to do: the means are spread over all levels from the start."""

    def forward(self, out: Tensor, t: int | None = None) -> Tensor:
        """Logits of the weights, means and log scales side by side, (..., D, 3 n_components)."""
        return out + (self.background if t is None else self.background[t])

    def log_prob(self, params: Tensor, v: Tensor) -> Tensor:
        """Log mass of levels v (B, D) under params (..., B, D, K), (..., B, D) nats."""
        return self.mixture(params, self.levels).log_prob(v.expand(params.shape[:-1]))

    def table(self, params: Tensor) -> Tensor:
        """Log mass of every level, (..., levels) nats."""
        return self.mixture(params, self.levels).table()

    def blank(self, n: int, size: int) -> Tensor:
        """Levels (n, size) not drawn yet."""
        return torch.zeros(n, size, dtype=torch.int64, device=self.background.device)

    def draw(
        self,
        params: Tensor,
        temperature: float = 1.0,
        adjust: Adjust | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """One level (...) for every row of params (..., K), from p^(1/temperature)."""
        return _drawn_level(self.table(params), temperature, adjust, generator)


class MixtureLaw(nn.Module):
    """Real values: a mixture of Gaussians, in units of each place's mean and spread in the data.

    The parameters are log weights, means and log scales, K = 3 n_components. Log scales stay within
    +-``max_log_scale`` of the data's, so that the density is bounded.

    Examples
    --------
    >>> law = MixtureLaw(size=2, n_components=3)
    >>> params = law(torch.zeros(5, 2, law.out_features))
    >>> law.log_prob(params, torch.zeros(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(self, size: int, n_components: int = 10, max_log_scale: float = 4.0):
        super().__init__()
        if size < 1 or n_components < 1:
            raise ValueError(f"size and n_components >= 1, got {size} and {n_components}")
        self.size, self.out_features = size, 3 * n_components
        self.max_log_scale = max_log_scale
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        start = torch.zeros(3, n_components)  # log weights, means, log scales
        start[1], start[2] = torch.linspace(-1.5, 1.5, n_components), -0.5
        self.start = nn.Parameter(start.flatten().repeat(size, 1))  # (D, 3 n_components)

    @torch.no_grad()
    def start_from(self, x: Tensor, data: object, order: Tensor) -> None:
        """Take mean and spread of every place from x (N, *shape), as `LevelLaw.start_from`."""
        v = data.check(x).flatten(1)[:, order]
        self.mean.copy_(v.mean(0))
        self.scale.copy_(v.std(0).clamp(min=1e-6))

    def forward(self, out: Tensor, t: int | None = None) -> Tensor:
        """Log weights (normalised), means, log scales side by side, (..., D, 3 n_components)."""
        at = slice(None) if t is None else slice(t, t + 1)
        mean, scale = self.mean[at, None], self.scale[at, None]  # (D, 1)
        log_w, means, log_s = (out + self.start[at]).chunk(3, -1)
        log_s = self.max_log_scale * (log_s / self.max_log_scale).tanh()
        return torch.cat((log_w.log_softmax(-1), mean + scale * means, log_s + scale.log()), -1)

    def log_prob(self, params: Tensor, v: Tensor) -> Tensor:
        """Log density of v (B, D) under params (..., B, D, K), (..., B, D) nats."""
        log_w, means, log_s = params.chunk(3, -1)
        squared = ((v.unsqueeze(-1) - means) * (-log_s).exp()).square()
        return (log_w - 0.5 * (squared + math.log(2 * math.pi)) - log_s).logsumexp(-1)

    def blank(self, n: int, size: int) -> Tensor:
        """Values (n, size) not drawn yet."""
        return self.start.new_zeros(n, size)

    def draw(
        self,
        params: Tensor,
        temperature: float = 1.0,
        adjust: None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """One value (...) for every row of params (..., K).

        A Gaussian to the power 1/temperature has its scale times the root of the temperature; of a
        mixture, weights and scales are treated one by one.
        """
        if adjust is not None:
            raise ValueError("adjust is for laws of levels: a density has no log masses to adjust")
        log_w, means, log_s = params.chunk(3, -1)  # (..., n_components)
        p = (log_w / temperature).softmax(-1)
        k = torch.multinomial(p.flatten(0, -2), 1, generator=generator).view(*p.shape[:-1], 1)
        mean, scale = means.gather(-1, k).squeeze(-1), log_s.gather(-1, k).squeeze(-1).exp()
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + math.sqrt(temperature) * scale * noise
