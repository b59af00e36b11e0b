"""The variational autoencoder: prior, encoder, decoder, and the bounds they give.

Kingma and Welling (2014), arXiv:1312.6114, eqs. 2-7; Rezende et al. (2014), arXiv:1401.4082.
Importance-weighted bound: Burda et al. (2016), arXiv:1509.00519, eq. 8. Free nats: Kingma et al.
(2016), arXiv:1606.04934, appendix C.8. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn

ROWS_AT_ONCE = 2048  # pairs of an example and a draw that `VAE.iw_bound` holds


class VAE(nn.Module):
    """p(x) = integral of p(x|z) p(z) dz, bounded from below with the help of q(z|x).

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x)``, ``stored(v)``, ``count(n)``.
    encoder : nn.Module
        q(z|x): ``encoder(u)``, u = x scaled to [-1, 1] (reals as they are), is an object with
        ``rsample(sample_shape)``, z (*sample_shape, B, d), and ``log_prob(z)`` of what it drew.
    decoder : nn.Module
        p(x|z): ``decoder(z)`` is an object with ``log_prob(x)`` (B,), ``sample(generator)`` and
        ``mean``. May offer ``start_from(x)``.
    prior : nn.Module
        ``log_prob(z)`` (B,), ``sample(n, generator=)``: a normal, a mixture, a flow, a chain.
    beta : float
        Weight of the KL term in ``loss``, and only there.
    free_nats : float
        KL of an example that ``loss`` does not charge for.

    Note: free nats clamp the one-sample KL of every example; Kingma et al. clamp the mean over a
    batch, for groups of units. The loss of an example then does not depend on its neighbours.

    Examples
    --------
    >>> from dgm.distribution.likelihood import SoftmaxDecoder
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Levels
    >>> from dgm.vae.gaussian_posterior import GaussianEncoder
    >>> data = Levels((4,), 3)
    >>> encoder, decoder = GaussianEncoder(nn.Linear(4, 4), 2), nn.Linear(2, 4 * 3)
    >>> model = VAE(data, encoder, SoftmaxDecoder(decoder, data), StandardNormal((2,)))
    >>> model.elbo(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        data: object,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        beta: float = 1.0,
        free_nats: float = 0.0,
    ):
        super().__init__()
        for name, value in (("beta", beta), ("free_nats", free_nats)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value}")
        self.data, self.encoder, self.decoder, self.prior = data, encoder, decoder, prior
        self.beta, self.free_nats = beta, free_nats

    # --- the three laws ---------------------------------------------------------------------------

    def _encoded(self, x: Tensor) -> object:
        """q(z|x) of x that was checked."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.encoder(self.data.scaled(x, dtype=dtype))

    def posterior(self, x: Tensor) -> object:
        """q(z|x), with ``rsample`` and ``log_prob``, for x (B, *shape)."""
        return self._encoded(self.data.check(x, trusted=self.training))

    def likelihood(self, z: Tensor) -> object:
        """p(x|z), with ``log_prob(x)`` (B,), ``sample`` and ``mean``, for z (B, d)."""
        return self.decoder(z)

    # --- the bounds -------------------------------------------------------------------------------

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """One draw of both parts of the bound, (B,) nats each; elbo = reconstruction - kl.

        ``reconstruction`` is log p(x|z) and ``kl`` is log q(z|x) - log p(z), whose mean over draws
        is the KL divergence of q(z|x) from the prior.

        Raises
        ------
        ValueError
            x is not as stored.
        """
        x = self.data.check(x, trusted=self.training)
        q = self._encoded(x)
        z = q.rsample()
        return {
            "reconstruction": self.likelihood(z).log_prob(x),
            "kl": q.log_prob(z) - self.prior.log_prob(z),
        }

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats: log p(x, z) - log q(z|x)."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound with k draws, log of the mean weight p(x, z) / q(z|x), (B,) nats; rises with k.

        Draws come a part at a time, so that memory does not grow with k (where a gradient is
        taken, it does: all of them are in the graph).
        """
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        q, at_once = self._encoded(x), max(1, ROWS_AT_ONCE // len(x))
        total = None
        for done in range(0, k, at_once):
            part = self._log_weights(x, q, min(at_once, k - done)).logsumexp(0)
            total = part if total is None else torch.logaddexp(total, part)
        return total - math.log(k)

    def _log_weights(self, x: Tensor, q: object, n: int) -> Tensor:
        """log p(x, z) - log q(z|x) of n draws for each x, (n, B)."""
        z = q.rsample((n,))  # (n, B, d)
        rows = z.flatten(0, 1)  # (n B, d)
        many = x.repeat(n, *[1] * (x.ndim - 1))  # (n B, *shape)
        log_p = self.likelihood(rows).log_prob(many) + self.prior.log_prob(rows)
        return log_p.view(n, -1) - q.log_prob(z)

    def loss(self, x: Tensor) -> Tensor:
        """-reconstruction + beta * kl, (B,): nats, and a bound, only for beta = 1, no free nats."""
        terms = self.terms(x)
        kl = terms["kl"].clamp_min(self.free_nats) if self.free_nats else terms["kl"]
        return self.beta * kl - terms["reconstruction"]

    # --- in and out -------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at one draw of the posterior, shaped like x."""
        return self.likelihood(self.posterior(x).rsample()).mean

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored: z from the prior, then x given z.

        ``generator`` lives on the model's device.
        """
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        z = self.prior.sample(max(n, 1), generator=generator)  # networks reshape no empty batch
        x = self.likelihood(z).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), where it has such a start.

        The likelihood then begins at independent pixels, and learns what differs from them.
        """
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)
