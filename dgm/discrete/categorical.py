"""A VAE whose codes are n draws from K values each: counted exactly, trained on relaxed draws.

Jang, Gu and Poole (2017), arXiv:1611.01144; importance-weighted bound: Burda et al. (2016),
arXiv:1509.00519, eq. 8; leave-one-out baseline: Kool, van Hoof and Welling (2019).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

AT_ONCE = 4096  # pairs of an example and a draw that `CategoricalVAE.iw_bound` holds


class CategoricalPosterior:
    """q(z|x) of n independent variables of K values, from logits (B, n, K)."""

    has_rsample = False

    def __init__(self, logits: Tensor):
        self.logits = logits.log_softmax(-1)  # normalised: log q of every value

    def sample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (*sample_shape, B, n), integers; exact draws, without a gradient."""
        p, n = self.logits.detach().exp().flatten(0, 1), math.prod(sample_shape)
        codes = p.multinomial(n, replacement=True, generator=generator)  # (B n, draws)
        return codes.T.reshape(*sample_shape, *self.logits.shape[:2])

    def log_prob(self, codes: Tensor) -> Tensor:
        """log q of codes (..., B, n), (..., B) nats."""
        table = self.logits.expand(*codes.shape, self.logits.shape[-1])
        return table.gather(-1, codes.unsqueeze(-1)).squeeze(-1).sum(-1)

    def kl(self, log_prior: Tensor) -> Tensor:
        """KL divergence (B,) from independent variables with log masses (n, K), nats, exact."""
        return (self.logits.exp() * (self.logits - log_prior)).sum((-2, -1))


class CategoricalVAE(nn.Module):
    """p(x) = sum over codes of p(codes) p(x | codes), n codes of K values each.

    ``elbo`` and ``iw_bound`` draw codes; only ``loss``, which is no bound, draws relaxed ones.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x)``, ``count(n)``.
    encoder : nn.Module
        u, x scaled to [-1, 1], (B, *shape) -> n K logits for every row.
    decoder : nn.Module
        One-hot rows, or relaxed ones, (B, n K) -> an object with ``log_prob(x)`` (B,),
        ``sample(generator)`` and ``mean``; may have ``start_from(x)``.
    prior : nn.Module
        Independent codes: ``logits`` (n, K), ``log_prob(codes)`` (B,), ``sample(n, generator=)``,
        ``data`` with ``dims`` n and ``levels`` K. A `LevelTable`.
    relax : nn.Module
        Logits (B, n, K) -> draws (B, n, K) with a gradient: a `GumbelSoftmax`.
    beta : float
        Weight of the KL term in ``loss``, and only there.

    Examples
    --------
    >>> from dgm.discrete.gumbel import GumbelSoftmax
    >>> from dgm.distribution.level_table import LevelTable
    >>> from dgm.distribution.likelihood import SoftmaxDecoder
    >>> from dgm.distribution.support import Levels
    >>> data, prior = Levels((5,), 4), LevelTable(Levels((2,), 3))
    >>> decoder = SoftmaxDecoder(nn.Linear(2 * 3, 5 * 4), data)
    >>> model = CategoricalVAE(data, nn.Linear(5, 2 * 3), decoder, prior, GumbelSoftmax(0.5))
    >>> model.elbo(model.sample(7)).shape
    torch.Size([7])
    """

    def __init__(
        self,
        data: object,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        relax: nn.Module,
        beta: float = 1.0,
    ):
        super().__init__()
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be finite and at least 0, got {beta}")
        self.data, self.encoder, self.decoder = data, encoder, decoder
        self.prior, self.relax, self.beta = prior, relax, beta

    # --- the three laws ---------------------------------------------------------------------------

    def _law_of(self, x: Tensor) -> CategoricalPosterior:
        """q(z|x) of x that was checked."""
        dtype = next(self.encoder.parameters(), torch.empty(0)).dtype
        sides = self.prior.data.dims, self.prior.data.levels
        return CategoricalPosterior(
            self.encoder(self.data.scaled(x, dtype=dtype)).unflatten(1, sides)
        )

    def posterior(self, x: Tensor) -> CategoricalPosterior:
        """q(z|x), with ``sample`` and ``log_prob``, for x (B, *shape)."""
        return self._law_of(self.data.check(x, trusted=self.training))

    def likelihood(self, codes: Tensor) -> object:
        """p(x | codes), with ``log_prob(x)`` (B,), ``sample`` and ``mean``, for codes (B, n)."""
        rows = one_hot(codes.long(), self.prior.data.levels).flatten(1)
        return self.decoder(rows.to(self.prior.logits.dtype))

    # --- the bounds -------------------------------------------------------------------------------

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """Both parts of the bound, (B,) nats: elbo = reconstruction - kl.

        ``reconstruction`` is log p(x | codes) at one draw of the posterior; ``kl`` is exact.
        """
        x = self.data.check(x, trusted=self.training)
        q = self._law_of(x)
        reconstruction = self.likelihood(q.sample()).log_prob(x)
        return {"reconstruction": reconstruction, "kl": q.kl(self.prior.logits.log_softmax(-1))}

    def elbo(self, x: Tensor) -> Tensor:
        """Lower bound on log p(x) (B,), nats, unbiased: one draw of codes, no relaxation."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """log of the mean of k weights p(x, z) / q(z|x), (B,) nats; rises with k."""
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        q, step = self._law_of(x), max(1, AT_ONCE // len(x))
        parts = []
        for n in [step] * (k // step) + [k % step] * bool(k % step):
            codes = q.sample((n,))  # (n, B, variables)
            rows, many = codes.flatten(0, 1), x.repeat(n, *[1] * (x.ndim - 1))
            log_p = self.likelihood(rows).log_prob(many) + self.prior.log_prob(rows)
            parts.append(log_p.view(n, -1) - q.log_prob(codes))
        return torch.cat(parts).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor) -> Tensor:
        """beta kl - log p(x | relaxed codes), (B,): near nats, but of no law and no bound."""
        x = self.data.check(x, trusted=self.training)
        q = self._law_of(x)
        reconstruction = self.decoder(self.relax(q.logits).flatten(1)).log_prob(x)
        return self.beta * q.kl(self.prior.logits.log_softmax(-1)) - reconstruction

    # --- in and out -------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at one draw of the codes, shaped like x."""
        return self.likelihood(self.posterior(x).sample()).mean

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored: codes from the prior, then x given the codes."""
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        likelihood = self.likelihood(self.prior.sample(max(n, 1), generator=generator))
        x = likelihood.sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)


class LeaveOneOut(nn.Module):
    """Train a `CategoricalVAE` on exact draws, by the score function with k draws at a time.

    The value of each draw is held against the mean of the others. The gradient is unbiased, and
    for the encoder it asks nothing of the decoder but values.

    Parameters
    ----------
    model : CategoricalVAE
        What is trained.
    k : int
        Draws, at least 2.
    """

    def __init__(self, model: nn.Module, k: int = 4):
        super().__init__()
        self.model, self.data = model, model.data
        self.k = self.data.count(k, "k", least=2)

    def elbo(self, x: Tensor) -> Tensor:
        """That of the model, (B,) nats."""
        return self.model.elbo(x)

    def loss(self, x: Tensor) -> Tensor:
        """kl - mean log p(x | codes) over k draws, (B,) nats: -elbo, with an unbiased gradient."""
        x, k = self.data.check(x, trusted=self.training), self.k
        q = self.model.posterior(x)
        codes, many = q.sample((k,)), x.repeat(k, *[1] * (x.ndim - 1))
        r = self.model.likelihood(codes.flatten(0, 1)).log_prob(many).view(k, -1)  # (k, B)
        better = (r - (r.sum(0) - r) / (k - 1)).detach()  # than the mean of the others
        score = (better * q.log_prob(codes)).mean(0)
        kl = q.kl(self.model.prior.logits.log_softmax(-1))
        return kl - r.mean(0) - (score - score.detach())
