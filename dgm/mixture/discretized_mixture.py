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
    data : Levels (support.py)
        What x is, of at least 3 levels; its entries are the D pixels: ``shape``, ``dims``,
        ``levels``, ``check(x)``, ``stored(v)``, ``count(n)``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> model = DiscretizedMixture(3, Levels((1, 2, 2), 4))
    >>> model.log_prob(torch.ones(5, 1, 2, 2, dtype=torch.uint8)).shape
    torch.Size([5])
    """

    def __init__(self, n_components: int, data: object):
        super().__init__()
        data.count(n_components, "n_components", least=1)
        if data.levels < 3:
            raise ValueError(f"data must have levels >= 3 for a bell curve, got {data.levels}")
        self.data = data
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.rand(n_components, data.dims) * (data.levels - 1))
        self.log_scale = nn.Parameter(torch.full_like(self.means, math.log(data.levels / 4)))

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log P(x, z = k), (B, K) nats, exact."""
        v = self.data.check(x, trusted=self.training).flatten(1)  # (B, D)
        table = log_bin_mass(self.means, self.log_scale, self.data.levels)  # (K, D, levels)
        one_hot = nn.functional.one_hot(v, self.data.levels).to(table.dtype).flatten(1)
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
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape) as stored: a Gaussian draw, rounded to the nearest level in range.

        The generator lives on the model's device.
        """
        if self.data.count(n) == 0:
            return self.data.stored(self.logits.new_empty(0, *self.data.shape))
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.empty_like(self.means[k]).normal_(generator=generator)
        x = (self.means[k] + self.log_scale[k].exp() * noise).round()
        return self.data.stored(x.view(n, *self.data.shape))

    @torch.no_grad()
    def start_from(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Reset: means at K random examples, every spread half that of its pixel, at least 0.3.

        Raises
        ------
        ValueError
            x holds fewer examples than there are components, or only one.
        """
        x, n_components = self.data.check(x), len(self.logits)
        if len(x) < max(2, n_components):
            raise ValueError(f"x must hold {max(2, n_components)} or more examples, got {len(x)}")
        rows = torch.randperm(len(x), generator=generator, device=x.device)[:n_components]
        flat = x.flatten(1).to(self.means.dtype)
        self.logits.zero_()
        self.means.copy_(flat[rows])
        self.log_scale.copy_((flat.std(0) / 2).clamp_min(0.3).log().expand_as(self.log_scale))
