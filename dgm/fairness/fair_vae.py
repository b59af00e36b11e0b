"""The variational fair autoencoder: a code beside the group, a second code beside the class.

Louizos, Swersky, Li, Welling and Zemel (2016), arXiv:1511.00830, eqs. 3-8 (bounds), 9-12 (penalty).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import one_hot

UNKNOWN = -1  # the y of an example without a label


def _log_shares(counts: Tensor | None, labels: object, name: str) -> Tensor:
    """log p of every value (K,) by counts on any scale, even where not given."""
    counts = torch.ones(labels.levels) if counts is None else counts.float()
    if counts.shape != (labels.levels,) or not ((counts > 0) & counts.isfinite()).all():
        raise ValueError(f"{name} must be {labels.levels} finite numbers > 0, got {counts}")
    return (counts / counts.sum()).log()


class FairVAE(nn.Module):
    """p(x, y | s) = integral of p(x | z1, s) p(z1 | z2, y) p(z2) p(y), bounded with q(z1 | x, s).

    The decoder is told the group s, so z1 need not carry it; the classifier q(y | z1) is not.
    With a label: log p(x, y | s) >= E[log p(x|z1,s) - log q(z1|x,s) + c(z1, y)], where c(z1, y) =
    log p(y) + log p(z1|z2,y) + log p(z2) - log q(z2|z1,y). Without one, c(z1, y) is replaced by
    sum_y q(y|z1) c(z1, y) + H(q(y|z1)), the sum taken over all classes.

    Parameters
    ----------
    data, groups, labels : Levels or Reals (support.py), ``Levels((), K)``, ``Levels((), C)``
        What x, s and y are.
    encoder : nn.Module
        Scaled rows of x beside s (B, D + K), s as zeros and a one, to q(z1|x,s), a
        `GaussianPosterior`.
    classifier : nn.Module
        z1 to the logits (B, C) of q(y|z1).
    style_encoder : nn.Module
        (z1, y) side by side to q(z2|z1,y), a `GaussianPosterior`.
    code_decoder : nn.Module
        (z2, y) side by side to p(z1|z2,y), with ``log_prob(z1)`` and ``sample(generator)``.
    decoder : nn.Module
        (z1, s) side by side to p(x|z1,s), with ``log_prob(x)`` and ``sample(generator)``.
    style_prior : nn.Module
        p(z2).
    penalty : nn.Module, optional
        ``penalty(z1, s)`` -> (): a `GroupMMD`, a `GroupAdversary`.
    strength, label_weight : float
        Of the penalty, and of -log q(y|z1), in ``loss`` alone.
    group_counts, class_counts : (K,) and (C,), optional
        p(s) and p(y) on any scale; even where not given.

    Notes
    -----
    Own methods: ``codes``, ``class_posterior``.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Reals
    >>> model = zoo.get("fair_vae").build(Reals((3,)), width=8)
    >>> x, s = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> model.elbo(x, s).shape, model.codes(x, s).mean.shape
    (torch.Size([4]), torch.Size([4, 3]))
    """

    def __init__(
        self, data: object, groups: object, labels: object, encoder: nn.Module,
        classifier: nn.Module, style_encoder: nn.Module, code_decoder: nn.Module,
        decoder: nn.Module, style_prior: nn.Module, penalty: nn.Module | None = None,
        strength: float = 0.0, label_weight: float = 1.0, group_counts: Tensor | None = None,
        class_counts: Tensor | None = None,
    ):  # fmt: skip
        super().__init__()
        for name, value in (("strength", strength), ("label_weight", label_weight)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")
        self.data, self.groups, self.labels = data, groups, labels
        self.encoder, self.classifier, self.style_encoder = encoder, classifier, style_encoder
        self.code_decoder, self.decoder, self.style_prior = code_decoder, decoder, style_prior
        self.penalty, self.strength, self.label_weight = penalty, strength, label_weight
        self.register_buffer("log_group", _log_shares(group_counts, groups, "group_counts"))
        self.register_buffer("log_class", _log_shares(class_counts, labels, "class_counts"))

    # --- the laws ---------------------------------------------------------------------------------

    def _beside(self, v: Tensor, label: Tensor, n: int) -> Tensor:
        """v (B, D) and a label (B,) as zeros and a one, (B, D + n)."""
        return torch.cat((v, one_hot(label, n).to(v)), 1)

    def _code_law(self, x: Tensor, s: Tensor) -> object:
        rows = self.data.scaled(x, dtype=self.log_class.dtype).flatten(1)
        return self.encoder(self._beside(rows, s, self.groups.levels))

    def _group(self, x: Tensor, s: Tensor) -> Tensor:
        s = self.groups.check(s, "s", trusted=self.training)
        if len(s) != len(x):
            raise ValueError(f"s must hold a group for each of {len(x)} x, got {len(s)}")
        return s

    def codes(self, x: Tensor, s: Tensor) -> object:
        """q(z1|x,s), a `GaussianPosterior`: what is handed on."""
        x = self.data.check(x, trusted=self.training)
        return self._code_law(x, self._group(x, s))

    def class_posterior(self, z1: Tensor) -> Categorical:
        """q(y|z1): it sees the code, not the group."""
        return Categorical(logits=self.classifier(z1), validate_args=False)

    # --- bounds -----------------------------------------------------------------------------------

    def _decoded(self, x: Tensor, s: Tensor, z1: Tensor) -> Tensor:
        """log p(x|z1,s) (B,)."""
        return self.decoder(self._beside(z1, s, self.groups.levels)).log_prob(x)

    def _class_bounds(self, z1: Tensor) -> Tensor:
        """c(z1, y) of every class, one draw of z2 for each, (B, C) nats; noise is shared."""
        c = self.labels.levels
        every = torch.arange(c, device=z1.device).repeat(len(z1))  # 0 .. C - 1 for each row
        rows = z1.repeat_interleave(c, 0)  # (B C, d1)
        q = self.style_encoder(self._beside(rows, every, c))
        z2 = q.from_noise(torch.randn_like(q.mean[::c]).repeat_interleave(c, 0))
        log_z1 = self.code_decoder(self._beside(z2, every, c)).log_prob(rows)
        bound = log_z1 + self.style_prior.log_prob(z2) - q.log_prob(z2)
        return (bound + self.log_class[every]).view(-1, c)

    def _one_draw(self, x: Tensor, s: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """One z1 for each row: it, log p(x|z1,s), the rest of the bound, and log q(y|z1) (B, C)."""
        q = self._code_law(x, s)
        z1 = q.rsample()
        log_q, each = self.class_posterior(z1).logits, self._class_bounds(z1)
        classes = (log_q.exp() * (each - log_q)).sum(1)  # summed over classes, and the entropy
        if y is not None:
            of_label = each.gather(1, y.clamp_min(0)[:, None])[:, 0]
            classes = torch.where(y == UNKNOWN, classes, of_label)
        found = {"reconstruction": self._decoded(x, s, z1), "kl": q.log_prob(z1) - classes}
        return found | {"z1": z1, "log_q": log_q}

    def _checked_label(self, x: Tensor, y: Tensor | None) -> Tensor | None:
        if y is None:
            return None
        self.labels.check(y.clamp_min(0) if (y == UNKNOWN).any() else y, "y", self.training)
        if len(y) != len(x):
            raise ValueError(f"y must hold a label, or -1, for each of {len(x)} x, got {len(y)}")
        return y.long()

    def terms(
        self, x: Tensor, s: Tensor | None = None, y: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One draw: ``reconstruction`` is log p(x|z1,s), ``kl`` all the rest; (B,) nats each.

        Without s both are means over p(s): a looser bound, which needs no network to guess s.
        """
        x = self.data.check(x, trusted=self.training)
        y = self._checked_label(x, y)
        if s is not None:
            drawn = self._one_draw(x, self._group(x, s), y)
            return {name: drawn[name] for name in ("reconstruction", "kl")}
        k = self.groups.levels
        every = torch.arange(k, device=x.device).repeat(len(x))
        many = None if y is None else y.repeat_interleave(k, 0)
        drawn, p = self._one_draw(x.repeat_interleave(k, 0), every, many), self.log_group.exp()
        return {name: drawn[name].view(-1, k) @ p for name in ("reconstruction", "kl")}

    def elbo(self, x: Tensor, s: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """Lower bound (B,), nats, on log p(x|s), log p(x) without s, log p(x, y|s) with y.

        Every class is summed, one draw of both codes; an example with y = -1 has no label.
        """
        terms = self.terms(x, s, y)
        return terms["reconstruction"] - terms["kl"]

    def iw_bound(self, x: Tensor, k: int, s: Tensor | None = None) -> Tensor:
        """Bound with k draws of (z1, y, z2), and of s from p(s) if not given, (B,) nats."""
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        many = x.repeat(k, *[1] * (x.ndim - 1))  # (k B, *shape)
        if s is None:
            s = self.log_group.exp().multinomial(len(many), replacement=True)
        else:
            s = self._group(x, s).repeat(k)
        # one weight for each draw: y is drawn too, so that k = 1 has the mean of the elbo
        q = self._code_law(many, s)
        z1 = q.rsample()
        guess = self.class_posterior(z1)
        y = guess.sample()
        log_w = self._class_bounds(z1).gather(1, y[:, None])[:, 0] - guess.log_prob(y)
        log_w = log_w + self._decoded(many, s, z1) - q.log_prob(z1)
        return log_w.view(k, -1).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor, s: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """-elbo + label_weight (-log q(y|z1)) + strength penalty(z1, s) of the whole batch, (B,).

        Without s it is -elbo(x). The penalty is one number of the batch, added to every row.
        """
        if s is None:
            return -self.elbo(x, y=y)
        x = self.data.check(x, trusted=self.training)
        s, y = self._group(x, s), self._checked_label(x, y)
        drawn = self._one_draw(x, s, y)
        loss = drawn["kl"] - drawn["reconstruction"]
        if y is not None:
            missed = -drawn["log_q"].gather(1, y.clamp_min(0)[:, None])[:, 0]
            loss = loss + self.label_weight * missed * (y != UNKNOWN)
        if self.penalty is not None and self.strength > 0:
            loss = loss + self.strength * self.penalty(drawn["z1"], s)
        return loss

    # --- out --------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, n: int, *, s: Tensor | None = None, y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """n draws (n, *shape): group, class, z2, z1, then x; s (n,) and y (n,) fix theirs."""
        # modes, group and class
        n = self.data.count(n)
        modes, given = [(module, module.training) for module in self.modules()], []
        self.eval()
        for name, label, log_p in (("s", s, self.log_group), ("y", y, self.log_class)):
            if label is None:
                label = log_p.exp().multinomial(max(n, 1), replacement=True, generator=generator)
            if n and len(label) != n:
                raise ValueError(f"{name} must have shape ({n},), got {tuple(label.shape)}")
            given.append(label)
        # both codes, then x
        z2 = self.style_prior.sample(max(n, 1), generator=generator)
        law = self.code_decoder(self._beside(z2, given[1], self.labels.levels))
        z1 = law.sample(generator=generator)
        x = self.decoder(self._beside(z1, given[0], self.groups.levels)).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]
