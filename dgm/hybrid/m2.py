"""M2: a VAE with the class as a second latent variable, which some examples show and most do not.

Kingma, Mohamed, Rezende and Welling (2014), Semi-supervised learning with deep generative models,
arXiv:1406.5298, eqs. 2, 6 and 7. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import one_hot


class M2(nn.Module):
    """p(x) = sum_y p(y) integral of p(x | y, z) p(z) dz, with q(y | x) and q(z | x, y) to bound it.

    With a label: log p(x, y) >= E[log p(x|y,z) + log p(y) + log p(z) - log q(z|x,y)], or -L(x, y).
    Without one: log p(x) >= sum_y q(y|x) (-L(x, y)) + H(q(y|x)), the sum taken over all classes.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x)``, ``count(n)``.
    labels : Levels
        What y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    classifier : nn.Module
        Scaled x (B, *shape) to the logits (B, K) of q(y|x).
    trunk : nn.Module
        Scaled x to features h (B, F), read once for all classes.
    encoder : nn.Module
        h and y side by side (B, F + K), y as zeros and a one, to q(z|x,y): an object with
        ``from_noise(eps)``, ``log_prob(z)`` and ``mean``, a `GaussianPosterior`.
    decoder : nn.Module
        z and y side by side (B, d + K) to p(x|y,z), with ``log_prob(x)``, ``sample(generator)``.
    z_prior : nn.Module
        p(z): ``log_prob(z)`` (B,), ``sample(n, generator=)``.
    class_counts : (K,), optional
        How often each class occurs (any positive scale); equal where not given. Not learned.

    Notes
    -----
    Own methods: ``joint_elbo``, ``style``, ``decoded``.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Levels
    >>> model = zoo.get("m2").build(Levels((1, 4, 4), 3), n_classes=5, width=8)
    >>> x = model.sample(6, y=torch.tensor([0, 0, 1, 2, 3, 4]))
    >>> model.elbo(x).shape, model.joint_elbo(x).shape
    (torch.Size([6]), torch.Size([6, 5]))
    """

    def __init__(
        self,
        data: object,
        labels: object,
        classifier: nn.Module,
        trunk: nn.Module,
        encoder: nn.Module,
        decoder: nn.Module,
        z_prior: nn.Module,
        class_counts: Tensor | None = None,
    ):
        super().__init__()
        counts = torch.ones(labels.levels) if class_counts is None else class_counts.float()
        if counts.shape != (labels.levels,) or not ((counts > 0) & counts.isfinite()).all():
            raise ValueError(f"class_counts must be {labels.levels} finite numbers > 0: {counts}")
        self.data, self.labels = data, labels
        self.classifier, self.trunk, self.encoder = classifier, trunk, encoder
        self.decoder, self.z_prior = decoder, z_prior
        self.register_buffer("log_class", (counts / counts.sum()).log())

    # --- bounds -----------------------------------------------------------------------------------

    def _scaled(self, x: Tensor) -> Tensor:
        return self.data.scaled(x, dtype=self.log_class.dtype)

    def _log_weights(self, x: Tensor, h: Tensor, y: Tensor, eps: Tensor) -> Tensor:
        """log p(x, y, z) - log q(z|x,y) (R,) of rows x, their features h (R, F), labels y (R,)."""
        shown = one_hot(y, self.labels.levels).to(h)  # (R, K)
        q = self.encoder(torch.cat((h, shown), 1))
        z = q.from_noise(eps)
        log_x = self.decoder(torch.cat((z, shown), 1)).log_prob(x)
        return log_x + self.log_class[y] + self.z_prior.log_prob(z) - q.log_prob(z)

    def _noise(self, h: Tensor) -> Tensor:
        return torch.randn(len(h), self.encoder.latent_dim, dtype=h.dtype, device=h.device)

    def joint_elbo(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """One-sample bounds on log p(x, y), nats: (B,) for labels y (B,), without them (B, K).

        All classes pass as one batch of B K rows, and share the noise of an example, so that what
        is different between them is not noise.
        """
        x = self.data.check(x, trusted=self.training)
        h = self.trunk(self._scaled(x))
        eps = self._noise(h)
        if y is not None:
            y = self.labels.check(y, "y", trusted=self.training)
            if len(y) != len(x):
                raise ValueError(f"y must hold a label for each of {len(x)} x, got {len(y)}")
            return self._log_weights(x, h, y, eps)
        k = self.labels.levels
        every = torch.arange(k, device=x.device).repeat(len(x))  # (B K,), 0 .. K-1 for each x
        rows = (t.repeat_interleave(k, 0) for t in (x, h))
        return self._log_weights(*rows, every, eps.repeat_interleave(k, 0)).view(len(x), k)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """``labelled``: sum_y q(y|x) (-L(x, y)); ``entropy``: that of q(y|x); (B,) nats."""
        log_q = self.posterior(x).logits  # (B, K), normalised
        entropy = -(log_q.exp() * log_q).sum(1)
        return {"labelled": (log_q.exp() * self.joint_elbo(x)).sum(1), "entropy": entropy}

    def elbo(self, x: Tensor) -> Tensor:
        """Lower bound on log p(x) (B,), nats: every class, one draw of z for each."""
        terms = self.terms(x)
        return terms["labelled"] + terms["entropy"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound with k draws of (y, z) from q(y|x) q(z|x,y), (B,) nats; rises with k."""
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        u = self._scaled(x)
        q = Categorical(logits=self.classifier(u), validate_args=False)
        y = q.sample((k,))  # (k, B)
        h = self.trunk(u).repeat(k, 1)
        many = x.repeat(k, *[1] * (x.ndim - 1))  # (k B, *shape)
        log_w = self._log_weights(many, h, y.flatten(), self._noise(h)).view(k, -1)
        return (log_w - q.log_prob(y)).logsumexp(0) - math.log(k)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-elbo, or -joint_elbo with labels, (B,) nats.

        A label teaches q(y|x) nothing here: see semi_supervised.py.
        """
        return -self.elbo(x) if y is None else -self.joint_elbo(x, y)

    # --- in and out -------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Categorical:
        """q(y|x), the classifier."""
        x = self.data.check(x, trusted=self.training)
        return Categorical(logits=self.classifier(self._scaled(x)), validate_args=False)

    def style(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean of q(z|x,y) (B, d): what x is beside its class."""
        h = self.trunk(self._scaled(self.data.check(x)))
        shown = one_hot(self.labels.check(y, "y"), self.labels.levels).to(h)
        return self.encoder(torch.cat((h, shown), 1)).mean

    def decoded(self, z: Tensor, y: Tensor) -> object:
        """p(x|y,z) of codes z (B, d) and labels y (B,)."""
        shown = one_hot(self.labels.check(y, "y"), self.labels.levels).to(z)
        return self.decoder(torch.cat((z, shown), 1))

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws (n, *shape): a class and a style, then x; y (n,) fixes the classes."""
        # modes, classes, styles
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        if y is None:
            every = self.log_class.exp()
            y = every.multinomial(max(n, 1), replacement=True, generator=generator)
        if n and len(y) != n:
            raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
        z = self.z_prior.sample(max(n, 1), generator=generator)
        # pictures
        x = self.decoded(z, y).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)
