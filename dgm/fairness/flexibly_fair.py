"""The flexibly fair VAE: one code for each sensitive attribute, to be left out when it is used.

Creager et al. (2019), arXiv:1906.02589, eqs. 3-5; the critic and its permuted codes: Kim and Mnih
(2018), arXiv:1802.05983, eqs. 2-3. Needs torch only.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, softplus


class FlexiblyFairVAE(nn.Module):
    """A VAE with codes (z, b): entry b_j speaks of attribute a_j alone, z of none.

    loss = -elbo + attribute_weight sum_j -log p(a_j | b_j) + independence T(z, b), where
    p(a_j = 1 | b_j) is the logistic function of b_j, and T estimates KL(q(z, b) || q(z) prod_j
    q(b_j)) by the logit of a critic that tells codes from codes with their parts exchanged between
    examples. The critic's own cross-entropy is part of the loss; no other part moves the critic,
    and it moves no other part.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is.
    attributes : Levels (support.py)
        ``Levels((S,), 2)``, what a is.
    encoder : nn.Module
        Scaled x to q(z, b|x), a `GaussianPosterior` with z first, the S entries of b last.
    decoder : nn.Module
        (z, b) to p(x|z, b).
    prior : nn.Module
        p(z, b).
    critic : nn.Module
        (z, b) to one logit (B, 1).
    attribute_weight, independence, beta : float
        alpha, gamma, and the weight of the KL term, in ``loss`` alone.

    Notes
    -----
    Own methods: ``fair_codes``, ``permuted``, ``dependence``, ``critic_loss``.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Levels
    >>> model = zoo.get("flexibly_fair_vae").build(Levels((1, 4, 4), 2), n_attributes=2, width=8)
    >>> x = model.sample(5)
    >>> model.elbo(x).shape, model.fair_codes(x, without=(1,)).shape
    (torch.Size([5]), torch.Size([5, 9]))
    """

    def __init__(
        self, data: object, attributes: object, encoder: nn.Module, decoder: nn.Module,
        prior: nn.Module, critic: nn.Module, attribute_weight: float = 1.0,
        independence: float = 1.0, beta: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        weights = dict(attribute_weight=attribute_weight, independence=independence, beta=beta)
        for name, v in weights.items():
            if not 0 <= v < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {v!r}")
        if attributes.dims >= encoder.latent_dim:
            raise ValueError(
                f"attributes: {attributes.dims} of them leave no entry of {encoder.latent_dim} to z"
            )
        self.data, self.attributes = data, attributes
        self.encoder, self.decoder, self.prior, self.critic = encoder, decoder, prior, critic
        self.attribute_weight, self.independence, self.beta = attribute_weight, independence, beta

    # --- the three laws ---------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> object:
        """q(z, b|x) for x (B, *shape)."""
        x = self.data.check(x, trusted=self.training)
        return self.encoder(self.data.scaled(x, dtype=next(self.parameters()).dtype))

    def likelihood(self, codes: Tensor) -> object:
        """p(x|z, b) for codes (B, d)."""
        return self.decoder(codes)

    @torch.no_grad()
    def fair_codes(
        self, x: Tensor, without: Sequence[int] = (), *, means: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Draws of q(z, b|x) without the b_j of the attributes named, (B, d - their number).

        Which attributes count as sensitive is said here, when the code is used. The penalty looks
        at draws: means of q tell what its noise would hide, so ``means`` is for measuring that.
        """
        named, n = set(without), self.attributes.dims
        if not named <= set(range(n)):
            raise ValueError(f"without must name attributes 0 .. {n - 1}, got {sorted(named)}")
        q = self.posterior(x)
        codes = q.mean if means else q.rsample(generator=generator)
        first = codes.shape[1] - n
        kept = [i for i in range(codes.shape[1]) if i - first not in named]
        return codes[:, kept]

    # --- bounds -----------------------------------------------------------------------------------

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """One draw: ``reconstruction`` log p(x|z, b), ``kl`` log q - log p(z, b); (B,) nats."""
        return self._drawn(x)[1]

    def _drawn(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        q = self.posterior(x)
        codes = q.rsample()
        found = {"reconstruction": self.likelihood(codes).log_prob(x)}
        return codes, found | {"kl": q.log_prob(codes) - self.prior.log_prob(codes)}

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats, without attributes and critic."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound with k draws, log of the mean weight p(x, z, b) / q(z, b|x), (B,) nats."""
        k, q = self.data.count(k, "k", least=1), self.posterior(x)
        codes = q.rsample((k,))  # (k, B, d)
        rows, many = codes.flatten(0, 1), x.repeat(k, *[1] * (x.ndim - 1))
        log_p = self.likelihood(rows).log_prob(many) + self.prior.log_prob(rows)
        return (log_p.view(k, -1) - q.log_prob(codes)).logsumexp(0) - math.log(k)

    # --- what makes it fair -----------------------------------------------------------------------

    def permuted(self, codes: Tensor) -> Tensor:
        """Draws of q(z) prod_j q(b_j): z as a whole from one example, each b_j from another."""
        first = codes.shape[1] - self.attributes.dims
        parts = [codes[:, :first], *codes[:, first:].split(1, 1)]
        rows = [torch.randperm(len(codes), device=codes.device) for _ in parts]
        return torch.cat([part[row] for part, row in zip(parts, rows, strict=True)], 1)

    def dependence(self, codes: Tensor) -> Tensor:
        """log q(z, b) / (q(z) prod_j q(b_j)) as the critic has it, (B,) nats; its weights stay."""
        fixed = {name: p.detach() for name, p in self.critic.named_parameters()}
        return functional_call(self.critic, fixed, (codes,))[:, 0]

    def loss(self, x: Tensor, a: Tensor | None = None) -> Tensor:
        """beta kl - reconstruction + alpha -log p(a|b) + gamma T + the critic's loss, (B,)."""
        codes, terms = self._drawn(x)
        loss = self.beta * terms["kl"] - terms["reconstruction"]
        if a is not None:
            a = self.attributes.check(a, "a", trusted=self.training)
            if len(a) != len(codes):
                raise ValueError(f"a must have {len(codes)} rows as x has, got {len(a)}")
            b = codes[:, -self.attributes.dims :]
            each = binary_cross_entropy_with_logits(b, a.to(b), reduction="none")
            loss = loss + self.attribute_weight * each.sum(1)
        loss = loss + self.independence * self.dependence(codes)
        return loss + self.critic_loss(codes)

    def critic_loss(self, codes: Tensor) -> Tensor:
        """Cross-entropy of telling codes from permuted ones (B,), nats; moves the critic only.

        At its best the critic's logit is the log ratio that `dependence` is after.
        """
        fixed = codes.detach()
        real, mixed = self.critic(fixed)[:, 0], self.critic(self.permuted(fixed))[:, 0]
        return softplus(-real) + softplus(mixed)

    # --- in and out -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored: codes from the prior, then x."""
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        z_and_b = self.prior.sample(max(n, 1), generator=generator)
        x = self.likelihood(z_and_b).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)
