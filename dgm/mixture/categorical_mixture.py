"""A mixture of independent categorical pixels: exact mass on integer images, bounded by one.

With two levels it is the Bernoulli mixture of Bishop (2006), Pattern Recognition and Machine
Learning, eqs. 9.47-9.60. Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical


class CategoricalMixture(nn.Module):
    """P(x) = sum_k pi_k prod_d p_kd(x_d) for integers x (B, *shape) in 0 .. levels-1.

    Parameters
    ----------
    n_components : int
        K.
    shape : tuple of int
        Shape of one example; its entries are the D pixels.
    levels : int
        Values a pixel can take, at least 2.

    Examples
    --------
    >>> model = CategoricalMixture(3, (1, 2, 2), levels=2)
    >>> model.log_prob(torch.zeros(5, 1, 2, 2, dtype=torch.uint8)).shape
    torch.Size([5])
    """

    def __init__(self, n_components: int, shape: tuple[int, ...], levels: int):
        super().__init__()
        if n_components < 1 or levels < 2:
            raise ValueError(
                f"n_components is at least 1 and levels at least 2, got {n_components}, {levels}"
            )
        self.shape, self.levels = tuple(shape), levels
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.pixel_logits = nn.Parameter(torch.randn(n_components, math.prod(shape), levels))

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def one_hot(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> (B, D * levels): 1 where pixel d has value v, else 0."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        values = x.long()
        if (
            not torch.equal(values.to(x.dtype), x)
            or values.min() < 0
            or values.max() >= self.levels
        ):
            raise ValueError(
                f"x must hold integers in 0 .. {self.levels - 1}, "
                f"got {x.dtype} in {x.min().item()} .. {x.max().item()}"
            )
        return F.one_hot(values.flatten(1), self.levels).flatten(1).to(self.pixel_logits.dtype)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log P(x, z = k), (B, K) nats, exact: a table look-up written as a matrix product."""
        table = self.pixel_logits.log_softmax(2).flatten(1)  # (K, D * levels)
        return self.logits.log_softmax(0) + self.one_hot(x) @ table.T

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass, (B,) nats, never above 0."""
        return self.joint_log_prob(x).logsumexp(1)

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass, (B,) nats."""
        return -self.log_prob(x)

    def posterior(self, x: Tensor) -> Categorical:
        """p(z | x); its ``probs`` (B, K) are the responsibilities."""
        return Categorical(logits=self.joint_log_prob(x))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape), uint8 up to 256 levels, else int64."""
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        probs = self.pixel_logits.softmax(2)[k].flatten(0, 1)  # (n * D, levels)
        x = torch.multinomial(probs, 1, generator=generator).view(n, *self.shape)
        return x.to(torch.uint8) if self.levels <= 256 else x

    @torch.no_grad()
    def start_from(
        self, x: Tensor, smoothing: float = 10.0, generator: torch.Generator | None = None
    ) -> None:
        """Reset: every example of ``x`` goes to the nearest of K random ones, then one M-step."""
        flat = x.flatten(1).to(self.pixel_logits.dtype)
        rows = torch.randperm(len(x), generator=generator)[: len(self.logits)]
        nearest = torch.cdist(flat, flat[rows]).argmin(1)
        self._m_step(x, F.one_hot(nearest, len(self.logits)).to(flat.dtype), smoothing)

    @torch.no_grad()
    def em_step(self, x: Tensor, smoothing: float = 0.0) -> Tensor:
        """One step of expectation-maximisation on ``x`` (N, *shape), in place.

        ``smoothing`` is a number of imagined examples per component, spread as the pixels of all of
        ``x`` are: a Dirichlet prior. Returns the mean log mass (nats) before the step; without
        smoothing it never falls, with smoothing the log posterior of the parameters never falls.
        """
        joint = self.joint_log_prob(x)
        self._m_step(x, joint.softmax(1), smoothing)
        return joint.logsumexp(1).mean()

    def pixel_background(self, x: Tensor) -> Tensor:
        """Share of each value at each pixel of ``x``, one imagined example added, (D, levels)."""
        counts = self.one_hot(x).sum(0).view(-1, self.levels)
        return (counts + 1 / self.levels) / (len(x) + 1)

    def _m_step(self, x: Tensor, r: Tensor, smoothing: float) -> None:
        """Set weights and pixel shares from responsibilities ``r`` (N, K)."""
        n = r.sum(0)  # (K,)
        counts = (r.T @ self.one_hot(x)).view_as(self.pixel_logits)
        share = counts + smoothing * self.pixel_background(x)
        tiny = torch.finfo(r.dtype).tiny
        self.logits.copy_((n / len(x)).clamp_min(tiny).log())
        self.pixel_logits.copy_(
            (share / (n + smoothing).clamp_min(tiny)[:, None, None]).clamp_min(tiny).log()
        )
