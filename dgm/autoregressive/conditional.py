"""What one variable looks like given those before it: a table of levels, or a Gaussian mixture.

Levels with a few shared features in place of one logit each: ordinal regression, McCullagh (1980),
doi:10.1111/j.2517-6161.1980.tb01109.x. Mixtures: Uria, Murray & Larochelle (2013), RNADE,
arXiv:1306.0186, eqs. 5-9. Both plug into the model of factorization.py. Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _powers(levels: int, n: int) -> Tensor:
    """(levels, n): the level on [-1, 1], its square and so on."""
    v = torch.linspace(-1, 1, levels)
    return torch.stack([v ** (r + 1) for r in range(n)], 1)


class LevelConditional(nn.Module):
    """Integers 0 .. levels - 1: log p(v) = out @ features_v + background_dv - log of the sum.

    The network sees a learned vector of ``embed_dim`` numbers for each level, and gives
    ``n_features`` numbers per variable. Both tables are shared by all variables and begin as the
    powers of the level, so that order counts from the start; what is particular to a place stands
    in the background. With ``n_features = None`` the network gives all the logits itself and with
    ``embed_dim = None`` it sees the level one-hot.
    """

    def __init__(
        self, levels: int, size: int, embed_dim: int | None = 3, n_features: int | None = 4
    ):
        super().__init__()
        if levels < 2 or size < 1:
            raise ValueError(f"levels >= 2 and size >= 1, got {levels} and {size}")
        for name, value in (("embed_dim", embed_dim), ("n_features", n_features)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, or None, got {value}")
        self.levels, self.size = levels, size
        self.in_features, self.out_features = embed_dim or levels, n_features or levels
        self.background = nn.Parameter(torch.zeros(size, levels))
        self.embedding = nn.Parameter(_powers(levels, embed_dim)) if embed_dim else None
        self.features = nn.Parameter(_powers(levels, n_features).T) if n_features else None

    def check(self, x: Tensor) -> Tensor:
        """x as int64; a ValueError unless it holds integers in range."""
        if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
            raise ValueError(f"x must hold integers in 0 .. {self.levels - 1}, got {x.dtype}")
        low, high = int(x.min()), int(x.max())
        if low < 0 or high >= self.levels:
            raise ValueError(f"x must lie in 0 .. {self.levels - 1}, got {low} .. {high}")
        return x.long()

    @torch.no_grad()
    def start_from(self, v: Tensor) -> None:
        """Set the background to how often every level occurs at every place of v (N, D)."""
        counts = F.one_hot(v, self.levels).sum(0) + 0.5  # (D, levels)
        self.background.copy_((counts / counts.sum(1, keepdim=True)).log())

    def embed(self, v: Tensor, t: int | None = None) -> Tensor:
        """What the network sees of levels v (B, D), or of place t alone (B, 1), (..., E)."""
        if self.embedding is None:
            return F.one_hot(v, self.levels).to(self.background.dtype)
        return self.embedding[v]

    def forward(self, out: Tensor, t: int | None = None) -> Tensor:
        """Logits (B, D, levels) out of the network's numbers (B, D, O); of place t alone if given.

        Normalised: logits.exp() sums to 1.
        """
        background = self.background if t is None else self.background[t]
        logits = out if self.features is None else out @ self.features
        return (logits + background).log_softmax(-1)

    def log_prob(self, logits: Tensor, v: Tensor) -> Tensor:
        """log p of levels v (B, D) under normalised logits (B, D, levels), (B, D) nats."""
        return logits.gather(-1, v[..., None])[..., 0]

    def blank(self, n: int, size: int) -> Tensor:
        """Levels (n, size) not drawn yet."""
        return torch.zeros(n, size, dtype=torch.long, device=self.background.device)

    def sample(
        self, logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One level for each row of logits (n, levels), (n,)."""
        probs = (logits / temperature).softmax(-1)
        return torch.multinomial(probs, 1, generator=generator)[:, 0]

    def stored(self, v: Tensor) -> Tensor:
        """Levels as data are stored: uint8 for images, int64 for sequences and tables."""
        return v.to(torch.uint8) if v.ndim == 4 and self.levels <= 256 else v


class MixtureConditional(nn.Module):
    """Real values: a mixture of ``n_components`` Gaussians, log weights, means and log scales.

    The network sees the value, standardised by the ``mean`` and ``scale`` that `start_from` takes
    from data, and gives 3 K numbers per variable. ``spread`` is where the means begin, one apart
    from the other; log scales stay within +-``max_log_scale``, so that the density is bounded.
    """

    def __init__(self, size: int, n_components: int = 10, max_log_scale: float = 4.0):
        super().__init__()
        if size < 1 or n_components < 1:
            raise ValueError(f"size and n_components >= 1, got {size} and {n_components}")
        self.size, self.n_components = size, n_components
        self.in_features, self.out_features = 1, 3 * n_components
        self.max_log_scale = max_log_scale
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        start = torch.stack((torch.zeros(n_components), torch.linspace(-1.5, 1.5, n_components),
                             torch.full((n_components,), -0.5)))  # fmt: skip
        self.start = nn.Parameter(start.flatten().repeat(size, 1))  # (D, 3 K)

    def check(self, x: Tensor) -> Tensor:
        """x itself; a ValueError unless it holds finite floats."""
        if not x.is_floating_point() or not x.isfinite().all():
            raise ValueError(f"x must hold finite floats, got {x.dtype} (NaN and infinity refused)")
        return x

    @torch.no_grad()
    def start_from(self, v: Tensor) -> None:
        """Take mean and scale of every variable from v (N, D)."""
        self.mean.copy_(v.mean(0))
        self.scale.copy_(v.std(0).clamp(min=1e-6))

    def embed(self, v: Tensor, t: int | None = None) -> Tensor:
        """Standardised values (B, D, 1), or those of place t alone, v (B, 1)."""
        mean, scale = (self.mean, self.scale) if t is None else (self.mean[t], self.scale[t])
        return ((v - mean) / scale)[..., None]

    def forward(self, out: Tensor, t: int | None = None) -> Tensor:
        """Log weights (normalised), means and log scales side by side, (B, D, 3 K)."""
        out = out + (self.start if t is None else self.start[t])
        mean, scale = (self.mean, self.scale) if t is None else (self.mean[t], self.scale[t])
        log_w, means, log_s = out.chunk(3, -1)
        log_s = self.max_log_scale * (log_s / self.max_log_scale).tanh()
        means = mean[..., None] + scale[..., None] * means
        return torch.cat((log_w.log_softmax(-1), means, log_s + scale[..., None].log()), -1)

    def log_prob(self, params: Tensor, v: Tensor) -> Tensor:
        """log density of v (B, D), (B, D) nats."""
        log_w, means, log_s = params.chunk(3, -1)
        squared = ((v[..., None] - means) * (-log_s).exp()).square()
        return (log_w - 0.5 * (squared + math.log(2 * math.pi)) - log_s).logsumexp(-1)

    def blank(self, n: int, size: int) -> Tensor:
        """Values (n, size) not drawn yet."""
        return self.start.new_zeros(n, size)

    def sample(
        self, params: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One value for each row of params (n, 3 K), (n,); scales times the root of temperature."""
        log_w, means, log_s = params.chunk(3, -1)
        k = torch.multinomial((log_w / temperature).softmax(-1), 1, generator=generator)
        noise = torch.empty_like(means[:, 0]).normal_(generator=generator)
        mean, scale = means.gather(1, k)[:, 0], log_s.gather(1, k)[:, 0].exp()
        return mean + math.sqrt(temperature) * scale * noise

    def stored(self, v: Tensor) -> Tensor:
        """Values as they are."""
        return v
