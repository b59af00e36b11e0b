"""A noisy-OR network: hidden causes that are there or not, each able to bring about findings.

Pearl (1988), Probabilistic Reasoning in Intelligent Systems, section 4.3.2; exact inference in time
2^(positive findings): Heckerman (1989), A Tractable Inference Algorithm for Diagnosing Multiple
Diseases, arXiv:1304.1511; as QMR-DT: Shwe et al. (1991). Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import logsigmoid, softplus


def log1mexp(a: Tensor) -> Tensor:
    """log(1 - e^-a) for a > 0, by whichever form keeps the digits."""
    small = a < math.log(2)
    near, far = torch.where(small, a, 1.0), torch.where(small, 1.0, a)  # no NaN in gradients
    return torch.where(small, torch.log(-torch.expm1(-near)), torch.log1p(-torch.exp(-far)))


def all_bits(n: int) -> Tensor:
    """Every row of n zeros and ones, (2^n, n), int64."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1


def signed_sum(log_odds: Tensor, shift: Tensor, weight: Tensor, leak: Tensor) -> Tensor:
    """log of sum over subsets S of P findings of (-1)^|S| e^(-leak(S)) E_z[e^(z . (shift - w(S)))].

    P(findings are there) is an alternating sum of "these are absent", and each of those splits over
    the causes. ``log_odds`` and ``shift`` are (d,), ``weight`` (P, d), ``leak`` (P,). Exact, but
    the terms cancel: about one digit goes for every digit that the answer is below 1, and NaN comes
    out when none is left. Costs 2^P d.
    """
    bits = all_bits(len(leak)).to(leak)  # (2^P, P)
    log_p = logsigmoid(log_odds) + shift - bits @ weight  # (2^P, d)
    terms = torch.logaddexp(logsigmoid(-log_odds).expand_as(log_p), log_p).sum(1) - bits @ leak
    sign, top = 1 - 2 * (bits.sum(1) % 2), terms.detach().amax()
    return top + (sign * (terms - top).exp()).sum().log()


class NoisyOr(nn.Module):
    """z_i ~ Bernoulli(prior_i); P(x_j = 0 | z) = exp(-leak_j - sum_i weight_ji z_i).

    For findings x (B, n_findings), integers 0 or 1. ``weight`` (n_findings, n_causes) and ``leak``
    are kept positive by softplus; a leak is at least ``floor``, so no finding is impossible.

    Parameters
    ----------
    data : Levels (support.py)
        The findings, ``Levels((n_findings,), 2)``: ``dims``, ``levels``, ``check(x)``,
        ``stored(v)``, ``count(n)``.
    n_causes : int
        d.
    floor : float
        The least leak, positive.

    Notes
    -----
    Own methods: ``from_probabilities``, ``states``, ``quickscore``, ``cause_probs``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> finding = Levels((1,), 2)
    >>> model = NoisyOr.from_probabilities(finding, [0.1], strength=[[0.8]], leak=[0.05])
    >>> model.log_prob(torch.tensor([[1]])).exp()  # 1 - 0.95 (0.9 + 0.1 * 0.2)
    tensor([0.1260], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data: object, n_causes: int, floor: float = 1e-3):
        super().__init__()
        if data.levels != 2 or len(data.shape) != 1:
            raise ValueError(f"data must be findings 0 or 1 in a row, got {data} {data.shape}")
        data.count(n_causes, "n_causes", least=1)
        if not 0 < floor < math.inf:
            raise ValueError(f"floor of the leak must be positive, got {floor}")
        self.data, self.floor, n_findings = data, floor, data.dims
        self.prior_logit = nn.Parameter(torch.full((n_causes,), -1.0))
        self.raw_weight = nn.Parameter(torch.randn(n_findings, n_causes) - 1)
        self.raw_leak = nn.Parameter(torch.full((n_findings,), -3.0))

    @classmethod
    @torch.no_grad()
    def from_probabilities(
        cls, data: object, prior, strength, leak, floor: float = 1e-3
    ) -> "NoisyOr":
        """A network in an expert's terms.

        ``prior`` (d,) of every cause; ``strength`` (D, d), how often cause i alone brings about
        finding j, 0 for never; ``leak`` (D,), how often the finding comes from nowhere.

        Raises
        ------
        ValueError
            Shapes that do not fit, or a number that is no probability.
        """
        prior, strength, leak = (
            torch.as_tensor(t).to(torch.get_default_dtype()) for t in (prior, strength, leak)
        )
        # whether they fit, and are probabilities
        if (
            prior.ndim != 1
            or leak.shape != data.shape
            or strength.shape != (*leak.shape, len(prior))
        ):
            shapes = f"{tuple(prior.shape)}, {tuple(strength.shape)}, {tuple(leak.shape)}"
            raise ValueError(f"prior (d,), strength (D, d), leak (D,) do not fit: got {shapes}")
        for name, p, low in (("prior", prior, 1e-12), ("strength", strength, 0.0)):
            if not ((p >= low) & (p < 1)).all():
                allowed = "(0, 1)" if low else "[0, 1)"
                raise ValueError(f"{name} must hold probabilities in {allowed}, got {p.tolist()}")
        lowest = -math.expm1(-floor)
        if not ((leak > lowest) & (leak < 1)).all():
            raise ValueError(f"leak must hold numbers in ({lowest:.2g}, 1), got {leak.tolist()}")
        # the parameters they stand for
        self = cls(data, len(prior), floor)
        self.prior_logit.copy_(prior.logit())
        self.raw_weight.copy_(_inverse_softplus(-torch.log1p(-strength)))
        self.raw_leak.copy_(_inverse_softplus(-torch.log1p(-leak) - floor))
        return self

    @property
    def weight(self) -> Tensor:
        """(n_findings, n_causes), at least 0: minus the log of the chance that a cause fails."""
        return softplus(self.raw_weight)

    @property
    def leak(self) -> Tensor:
        """(n_findings,), at least ``floor``."""
        return self.floor + softplus(self.raw_leak)

    def states(self) -> Tensor:
        """All 2^d combinations of causes, (2^d, d); refuses d > 16."""
        d = len(self.prior_logit)
        if d > 16:
            raise ValueError(f"n_causes is {d}: 2^{d} states are too many, use quickscore")
        return all_bits(d).to(self.prior_logit)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, z) for every state z, (B, 2^d) nats."""
        x = self.data.check(x, trusted=self.training).to(self.prior_logit)
        z = self.states()
        prior = z @ logsigmoid(self.prior_logit) + (1 - z) @ logsigmoid(-self.prior_logit)
        a = self.leak + z @ self.weight.T  # (2^d, D), -log P(finding absent)
        return prior + x @ log1mexp(a).T - (1 - x) @ a.T

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass (B,) nats, by summing over the 2^d states."""
        return self.joint_log_prob(x).logsumexp(1)

    def quickscore(self, x: Tensor) -> Tensor:
        """The same (B,) nats at the cost of 2^(positive findings), however many causes there are.

        For every row the absent findings are a product over causes; see `signed_sum` for the rest.
        """
        found, weight, leak = self.data.check(x), self.weight, self.leak
        rows = []
        for row in found:
            there, absent = row > 0, row == 0
            shift, constant = -weight[absent].sum(0), -leak[absent].sum()
            rows.append(constant + signed_sum(self.prior_logit, shift, weight[there], leak[there]))
        return torch.stack(rows)

    def cause_probs(self, x: Tensor) -> Tensor:
        """p(z_i = 1 | x), (B, n_causes), exact, by quickscore.

        d log p(x) / d logit(prior_i) = p(z_i = 1 | x) - prior_i: a gradient is the diagnosis.
        """
        with torch.enable_grad():
            total = self.quickscore(x)
            slopes = [torch.autograd.grad(t, self.prior_logit, retain_graph=True)[0] for t in total]
        return (torch.stack(slopes) + self.prior_logit.sigmoid()).detach()

    def posterior(self, x: Tensor) -> Categorical:
        """p(z | x) over the 2^d `states`."""
        return Categorical(logits=self.joint_log_prob(x))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw findings (n, n_findings) as stored. The generator lives on the model's device."""
        prior = self.prior_logit.sigmoid().expand(self.data.count(n), -1)
        z = torch.bernoulli(prior, generator=generator)
        present = -torch.expm1(-self.leak - z @ self.weight.T)
        return self.data.stored(torch.bernoulli(present, generator=generator))


def _inverse_softplus(y: Tensor) -> Tensor:
    """softplus(u) = y; -inf, which softplus turns into 0 again, for y = 0."""
    return y + torch.log(-torch.expm1(-y))
