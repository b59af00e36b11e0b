"""A mixture of Gaussians cut into bins: the exact mass of integer pixels under diagonal Gaussians.

The bin mass is that of Salimans et al. (2017), arXiv:1701.05517, eqs. 1-2, with Gaussians instead
of logistics. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


def log_bin_mass(mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log of the mass of N(mean, scale^2) in the bins 0 .. levels-1, shape (..., levels), nats.

    Bin v is [v - 1/2, v + 1/2]; the first and the last reach to infinity, so the masses sum to one.
    A bin right of the mean is mirrored to the left, where log Phi keeps its digits.
    """
    edges = torch.arange(levels - 1, dtype=mean.dtype, device=mean.device) + 0.5
    t = (edges - mean[..., None]) * (-log_scale[..., None]).exp()  # (..., levels - 1)
    below, above = torch.special.log_ndtr(t), torch.special.log_ndtr(-t)
    left, right = t[..., :-1], t[..., 1:]
    mirror = left + right > 0
    big = torch.where(mirror, above[..., :-1], below[..., 1:])  # log Phi of the edge nearer 0
    small = torch.where(mirror, above[..., 1:], below[..., :-1])
    inner = big + torch.log(-torch.expm1((small - big).clamp_max(-1e-7)))
    return torch.cat((below[..., :1], inner, above[..., -1:]), -1)


class DiscretizedMixture(nn.Module):
    """P(x) = sum_k pi_k prod_d (mass of N(m_kd, s_kd^2) in the bin of x_d), x (B, *shape) integers.

    Parameters
    ----------
    n_components : int
        K.
    shape : tuple of int
        Shape of one example; its entries are the D pixels.
    levels : int
        Values a pixel can take, at least 3.

    Examples
    --------
    >>> model = DiscretizedMixture(3, (1, 2, 2), levels=4)
    >>> model.log_prob(torch.ones(5, 1, 2, 2, dtype=torch.uint8)).shape
    torch.Size([5])
    """

    def __init__(self, n_components: int, shape: tuple[int, ...], levels: int):
        super().__init__()
        if n_components < 1 or levels < 3:
            raise ValueError(
                f"n_components is at least 1 and levels at least 3, got {n_components}, {levels}"
            )
        self.shape, self.levels = tuple(shape), levels
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.rand(n_components, math.prod(shape)) * (levels - 1))
        self.log_scale = nn.Parameter(torch.full_like(self.means, math.log(levels / 4)))

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log P(x, z = k), (B, K) nats, exact."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        v = x.flatten(1).long()  # (B, D)
        if not torch.equal(v.to(x.dtype), x.flatten(1)) or v.min() < 0 or v.max() >= self.levels:
            raise ValueError(
                f"x must hold integers in 0 .. {self.levels - 1}, "
                f"got {x.dtype} in {x.min().item()} .. {x.max().item()}"
            )
        table = log_bin_mass(self.means, self.log_scale, self.levels)  # (K, D, levels)
        one_hot = nn.functional.one_hot(v, self.levels).to(table.dtype).flatten(1)
        return self.logits.log_softmax(0) + one_hot @ table.flatten(1).T

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
        """Draw (n, *shape): a Gaussian draw, rounded to the nearest level and kept in range."""
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.empty_like(self.means[k]).normal_(generator=generator)
        x = (self.means[k] + self.log_scale[k].exp() * noise).round().clamp(0, self.levels - 1)
        return x.view(n, *self.shape).to(torch.uint8 if self.levels <= 256 else torch.int64)

    @torch.no_grad()
    def start_from(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Reset: means at K random examples, every spread half that of its pixel, at least 0.3."""
        rows = torch.randperm(len(x), generator=generator)[: len(self.logits)]
        flat = x.flatten(1).to(self.means.dtype)
        self.logits.zero_()
        self.means.copy_(flat[rows])
        self.log_scale.copy_((flat.std(0) / 2).clamp_min(0.3).log().expand_as(self.log_scale))
