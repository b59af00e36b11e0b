"""A mixture of independent categorical pixels: exact mass on integer images, bounded by one.

With two levels it is the Bernoulli mixture of Bishop (2006), Pattern Recognition and Machine
Learning, eqs. 9.47-9.60. Needs torch only.
"""

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
    data : Levels (support.py)
        What x is; its entries are the D pixels: ``shape``, ``dims``, ``levels``, ``check(x)``,
        ``stored(v)``, ``count(n)``, ``frequencies(x, pseudo_count)``.

    Notes
    -----
    Own methods: ``em_step``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> model = CategoricalMixture(3, Levels((1, 2, 2), 2))
    >>> model.log_prob(torch.zeros(5, 1, 2, 2, dtype=torch.uint8)).shape
    torch.Size([5])
    """

    def __init__(self, n_components: int, data: object):
        super().__init__()
        data.count(n_components, "n_components", least=1)
        self.data = data
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.pixel_logits = nn.Parameter(torch.randn(n_components, data.dims, data.levels))

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def _one_hot(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> (B, D * levels): 1 where pixel d has value v, else 0."""
        return F.one_hot(x.flatten(1), self.data.levels).flatten(1).to(self.pixel_logits.dtype)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log P(x, z = k), (B, K) nats, exact: a table look-up written as a matrix product."""
        x = self.data.check(x, trusted=self.training)
        table = self.pixel_logits.log_softmax(2).flatten(1)  # (K, D * levels)
        return self.logits.log_softmax(0) + self._one_hot(x) @ table.T

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
        """Draw (n, *shape) as stored. The generator lives on the model's device."""
        if self.data.count(n) == 0:
            return self.data.stored(self.logits.new_empty(0, *self.data.shape))
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        probs = self.pixel_logits.softmax(2)[k].flatten(0, 1)  # (n * D, levels)
        x = torch.multinomial(probs, 1, generator=generator).view(n, *self.data.shape)
        return self.data.stored(x)

    @torch.no_grad()
    def start_from(
        self, x: Tensor, smoothing: float = 10.0, *, generator: torch.Generator | None = None
    ) -> None:
        """Reset: every example of ``x`` goes to the nearest of K random ones, then one M-step.

        Raises
        ------
        ValueError
            x holds fewer examples than there are components.
        """
        x, n_components = self.data.check(x), len(self.logits)
        if len(x) < n_components:
            raise ValueError(f"x must hold {n_components} examples, one a component, got {len(x)}")
        flat = x.flatten(1).to(self.pixel_logits.dtype)
        rows = torch.randperm(len(x), generator=generator, device=x.device)[:n_components]
        nearest = torch.cdist(flat, flat[rows]).argmin(1)
        self._m_step(x, F.one_hot(nearest, n_components).to(flat.dtype), smoothing)

    def fit_to(self, x: Tensor, steps: int = 100, smoothing: float = 0.0) -> "CategoricalMixture":
        """``steps`` of expectation-maximisation on x (N, *shape) from where it stands; self."""
        for _ in range(self.data.count(steps, "steps")):
            self.em_step(x, smoothing)
        return self

    @torch.no_grad()
    def em_step(self, x: Tensor, smoothing: float = 0.0) -> Tensor:
        """One step of expectation-maximisation on ``x`` (N, *shape), in place.

        ``smoothing`` is a number of imagined examples per component, spread as the pixels of all of
        ``x`` are: a Dirichlet prior. Returns the mean log mass (nats) before the step; without
        smoothing it never falls, with smoothing the log posterior of the parameters never falls.
        """
        if not 0 <= smoothing < float("inf"):
            raise ValueError(f"smoothing must be finite and at least 0, got {smoothing}")
        joint = self.joint_log_prob(x)
        self._m_step(x.long(), joint.softmax(1), smoothing)
        return joint.logsumexp(1).mean()

    def _m_step(self, x: Tensor, r: Tensor, smoothing: float) -> None:
        """Set weights and pixel shares from responsibilities ``r`` (N, K)."""
        n, one_hot = r.sum(0), self._one_hot(x)  # (K,), (N, D * levels)
        counts = (r.T @ one_hot).view_as(self.pixel_logits)
        spread = one_hot.sum(0).view(-1, self.data.levels) + 1 / self.data.levels  # (D, levels)
        share = counts + smoothing * (spread / (len(x) + 1))
        tiny = torch.finfo(r.dtype).tiny
        self.logits.copy_((n / len(x)).clamp_min(tiny).log())
        self.pixel_logits.copy_(
            (share / (n + smoothing).clamp_min(tiny)[:, None, None]).clamp_min(tiny).log()
        )
