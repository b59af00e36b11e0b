"""DIVA: a VAE with three codes, one of the domain, one of the class, one of all the rest.

Ilse, Tomczak, Louizos and Welling (2020), DIVA: Domain invariant variational autoencoders,
arXiv:1905.10427, eqs. 1-3. Needs torch only.

Note: an example without a label is bounded with the prior of its code summed over the classes, a
mixture of Gaussians; the paper sums the bounds of all classes, weighed by the auxiliary classifier.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy


class LabelGaussians(nn.Module):
    """p(z | y) = N(mean_y, diag stddev_y^2), learned, and p(z) as their even mixture; exact.

    Parameters
    ----------
    labels : Levels
        What y is, ``Levels((), K)``.
    latent_dim : int
        d.

    Notes
    -----
    Own method: ``joint_log_prob``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> prior = LabelGaussians(Levels((), 3), 2)
    >>> prior.log_prob(prior.sample(5)).shape, prior.joint_log_prob(torch.zeros(5, 2)).shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(self, labels: object, latent_dim: int):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {latent_dim}")
        self.labels = labels
        self.mean = nn.Parameter(torch.randn(labels.levels, latent_dim))
        self.log_std = nn.Parameter(torch.zeros(labels.levels, latent_dim))

    def joint_log_prob(self, z: Tensor) -> Tensor:
        """log p(z, y) of every class (B, K), nats, for z (B, d)."""
        eps = (z[:, None] - self.mean) * (-self.log_std).exp()  # (B, K, d)
        each = -0.5 * eps.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return each.sum(2) - math.log(self.labels.levels)

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(z), or log p(z, y) with labels y (B,); (B,) nats."""
        joint = self.joint_log_prob(z)
        return joint.logsumexp(1) if y is None else joint.gather(1, y[:, None]).squeeze(1)

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """n codes (n, d); y (n,) fixes the classes."""
        if y is None:
            even = self.mean.new_ones(self.labels.levels)
            y = even.multinomial(max(n, 1), replacement=True, generator=generator)[:n]
        eps = torch.empty_like(self.mean[y]).normal_(generator=generator)
        return self.mean[y] + self.log_std[y].exp() * eps


class SideBySide(nn.Module):
    """Independent laws of parts of a code as one law of the code, part after part.

    Parameters
    ----------
    parts : modules with ``log_prob(z) -> (B,)`` and ``sample(n, generator=)``.
    dims : how many entries of the code each has.
    """

    def __init__(self, parts: Iterable[nn.Module], dims: Iterable[int]):
        super().__init__()
        self.parts, self.dims = nn.ModuleList(parts), tuple(dims)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) (B,), nats, for z (B, d)."""
        pairs = zip(self.parts, z.split(self.dims, 1), strict=True)
        return sum(part.log_prob(piece) for part, piece in pairs)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n codes (n, d)."""
        return torch.cat([part.sample(n, generator=generator) for part in self.parts], 1)


class ThreeCodes:
    """q(z_d | x) q(z_x | x) q(z_y | x) as one law of the three codes side by side.

    ``parts`` have ``rsample``, ``log_prob`` and ``mean``, as `GaussianPosterior`.
    """

    def __init__(self, parts: tuple):
        self.parts = parts

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """z (*sample_shape, B, d)."""
        return torch.cat([part.rsample(sample_shape) for part in self.parts], -1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) (*sample_shape, B), nats."""
        pieces = z.split([part.mean.shape[-1] for part in self.parts], -1)
        return sum(part.log_prob(piece) for part, piece in zip(self.parts, pieces, strict=True))


class DIVA(nn.Module):
    """p(x, y, d) = integral of p(x | z_d, z_x, z_y) p(z_d | d) p(z_x) p(z_y | y) p(d) p(y).

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is.
    encoders : three modules
        q(z_d|x), q(z_x|x), q(z_y|x), in this order: scaled x to a `GaussianPosterior`.
    decoder : nn.Module
        (z_d, z_x, z_y) side by side to p(x|z), with ``log_prob(x)`` and ``sample(generator)``.
    domain_prior, rest_prior, class_prior : nn.Module
        `LabelGaussians` of the domains, a law of z_x, `LabelGaussians` of the classes.
    domain_head, class_head : nn.Module
        z_d to the logits of q(d|z_d), z_y to those of q(y|z_y).
    domain_weight, class_weight : float
        alpha_d and alpha_y, the weights of log q(d|z_d) and log q(y|z_y) in ``loss`` alone.
    beta : float
        Weight of the KL terms in ``loss`` alone.

    Notes
    -----
    Own methods: ``codes``, ``class_posterior``.
    """

    def __init__(
        self, data: object, encoders: Iterable[nn.Module], decoder: nn.Module,
        domain_prior: nn.Module, rest_prior: nn.Module, class_prior: nn.Module,
        domain_head: nn.Module, class_head: nn.Module, domain_weight: float = 1.0,
        class_weight: float = 1.0, beta: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        numbers = dict(domain_weight=domain_weight, class_weight=class_weight, beta=beta)
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}")
        self.data, self.decoder = data, decoder
        self.encoders = nn.ModuleList(encoders)
        self.dims = tuple(encoder.latent_dim for encoder in self.encoders)
        self.prior = SideBySide((domain_prior, rest_prior, class_prior), self.dims)
        self.domain_head, self.class_head = domain_head, class_head
        self.domain_weight, self.class_weight, self.beta = domain_weight, class_weight, beta

    # --- the laws ---------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> ThreeCodes:
        """q(z|x) of the three codes side by side, for x (B, *shape)."""
        u = self.data.check(x, trusted=self.training)
        u = self.data.scaled(u, dtype=next(self.parameters()).dtype)
        return ThreeCodes(tuple(encoder(u) for encoder in self.encoders))

    def likelihood(self, z: Tensor) -> object:
        """p(x|z), for the three codes side by side (B, d)."""
        return self.decoder(z)

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means of z_d, z_x and z_y, (B, ...) each."""
        return tuple(part.mean for part in self.posterior(x).parts)

    def class_posterior(self, x: Tensor) -> Categorical:
        """q(y|z_y) at the mean of z_y: what DIVA predicts."""
        return Categorical(logits=self.class_head(self.codes(x)[2]), validate_args=False)

    # --- the bound --------------------------------------------------------------------------------

    def terms(self, x: Tensor, y: Tensor | None = None, d: Tensor | None = None) -> dict:
        """One draw: ``reconstruction``, ``kl``; with labels ``log_y``, with domains ``log_d``.

        (B,) nats each. ``kl`` is log q(z|x) less the log prior: of what is not given the mixture,
        else that of the label or domain and log p of it.
        """
        # the codes
        q = self.posterior(x)
        z = q.rsample()
        z_d, z_x, z_y = z.split(self.dims, 1)
        # what is given beside x
        domain_prior, rest_prior, class_prior = self.prior.parts
        d = d if d is None else domain_prior.labels.check(d, "d", trusted=self.training)
        y = y if y is None else class_prior.labels.check(y, "y", trusted=self.training)
        for name, given in (("y", y), ("d", d)):
            if given is not None and len(given) != len(z):
                raise ValueError(f"{name} must have {len(z)} entries as x has, got {len(given)}")
        # the bound's parts, and the two classifiers
        prior = domain_prior.log_prob(z_d, d) + rest_prior.log_prob(z_x)
        prior = prior + class_prior.log_prob(z_y, y)
        found = {"reconstruction": self.likelihood(z).log_prob(x), "kl": q.log_prob(z) - prior}
        if y is not None:
            found["log_y"] = -cross_entropy(self.class_head(z_y), y, reduction="none")
        if d is not None:
            found["log_d"] = -cross_entropy(self.domain_head(z_d), d, reduction="none")
        return found

    def elbo(self, x: Tensor, y: Tensor | None = None, d: Tensor | None = None) -> Tensor:
        """One-sample lower bound (B,), nats, on log p(x), or together with what is given."""
        terms = self.terms(x, y, d)
        return terms["reconstruction"] - terms["kl"]

    def loss(self, x: Tensor, y: Tensor | None = None, d: Tensor | None = None) -> Tensor:
        """beta kl - reconstruction - class_weight log q(y|z_y) - domain_weight log q(d|z_d)."""
        terms = self.terms(x, y, d)
        loss = self.beta * terms["kl"] - terms["reconstruction"]
        loss = loss - self.class_weight * terms.get("log_y", 0.0)
        return loss - self.domain_weight * terms.get("log_d", 0.0)

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, d: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """n draws (n, *shape) as stored; y (n,) and d (n,) fix classes and domains."""
        # in eval mode
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        domain_prior, rest_prior, class_prior = self.prior.parts
        codes = [  # what is fixed, is; what is not, by the priors
            domain_prior.sample(max(n, 1), y=d, generator=generator),
            rest_prior.sample(max(n, 1), generator=generator),
            class_prior.sample(max(n, 1), y=y, generator=generator),
        ]
        x = self.likelihood(torch.cat(codes, 1)).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)
