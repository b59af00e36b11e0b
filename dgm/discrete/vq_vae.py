"""VQ-VAE: pictures as maps of codes, codes as pictures of a prior, and the bound of the whole.

van den Oord, Vinyals and Kavukcuoglu (2017), arXiv:1711.00937, eqs. 1-3 and section 3.3 (prior).
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class VQVAE(nn.Module):
    """p(x) = sum over codes of p(codes) p(x | codes), bounded by the one term of the encoder.

    The encoder names one code map k(x) for every x. A posterior with all its mass in one point has
    no entropy, so the bound is log p(x | k(x)) + log p(k(x)), exact and without noise: one term of
    a sum of positive terms. It is a bound only because the decoder is a likelihood and the codes
    are charged for by a prior.

    Own method: ``encode``.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x)``, ``count(n)``.
    encoder : nn.Module
        u, x scaled to [-1, 1] (B, C, H, W) -> features (B, d, h, w).
    codebook : nn.Module
        ``codebook(features)`` -> what is handed on, codes (B, *S) and squared distance (B,);
        ``features(codes)`` is the way back. A `Codebook`, or a `TwoLevelCodebook`.
    decoder : nn.Module
        ``decoder(features)`` has ``log_prob(x)`` (B,), ``sample(generator)`` and ``mean``; it may
        have ``start_from(x)``.
    prior : nn.Module
        Of the codes: ``log_prob(codes)`` (B,) and ``sample(n, generator=)``. A table, a PixelCNN.
    commitment : float
        What ``loss`` charges for the squared distance between features and vectors.
    beta : float
        Weight of the codes' nats in ``loss``, and only there: 0 trains encoder and decoder alone.

    Examples
    --------
    >>> from dgm.discrete.codebook import Codebook
    >>> from dgm.distribution.level_table import LevelTable
    >>> from dgm.distribution.likelihood import SoftmaxDecoder
    >>> from dgm.distribution.support import Levels
    >>> data, codes = Levels((1, 4, 4), 3), Levels((1, 2, 2), 5)
    >>> encoder, net = nn.Conv2d(1, 6, 2, 2), nn.ConvTranspose2d(6, 3, 2, 2)
    >>> decoder = SoftmaxDecoder(nn.Sequential(net, nn.Flatten()), data)
    >>> model = VQVAE(data, encoder, Codebook(5, 6), decoder, LevelTable(codes))
    >>> model.elbo(model.sample(7)).shape
    torch.Size([7])
    """

    def __init__(
        self,
        data: object,
        encoder: nn.Module,
        codebook: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        commitment: float = 0.25,
        beta: float = 1.0,
    ):
        super().__init__()
        for name, weight in (("commitment", commitment), ("beta", beta)):
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {weight}")
        found = getattr(getattr(prior, "data", None), "levels", codebook.n_codes)
        if found != codebook.n_codes:
            raise ValueError(f"prior must be of {codebook.n_codes} codes, got one of {found}")
        self.data, self.encoder, self.codebook = data, encoder, codebook
        self.decoder, self.prior = decoder, prior
        self.commitment, self.beta = commitment, beta

    # --- the laws ---------------------------------------------------------------------------------

    def _quantised(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder gets of checked x, its codes, and the squared distance (B,)."""
        dtype = next(self.encoder.parameters(), torch.empty(0)).dtype
        return self.codebook(self.encoder(self.data.scaled(x, dtype=dtype)))

    def encode(self, x: Tensor) -> Tensor:
        """The codes (B, *S) of x (B, *shape): integers 0 .. K - 1."""
        return self._quantised(self.data.check(x, trusted=self.training))[1]

    def likelihood(self, codes: Tensor) -> object:
        """p(x | codes), with ``log_prob(x)`` (B,), ``sample`` and ``mean``."""
        return self.decoder(self.codebook.features(codes))

    # --- the bound and what is trained ------------------------------------------------------------

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """Both parts of the bound, (B,) nats each; elbo = reconstruction - kl.

        ``reconstruction`` is log p(x | k(x)); ``kl``, of the point mass at k(x) from the prior, is
        -log p(k(x)): what the codes cost.
        """
        x = self.data.check(x, trusted=self.training)
        passed, codes, _ = self._quantised(x)
        reconstruction = self.decoder(passed).log_prob(x)
        return {"reconstruction": reconstruction, "kl": -self.prior.log_prob(codes)}

    def elbo(self, x: Tensor) -> Tensor:
        """Lower bound on log p(x) (B,), nats: log p(x, k(x)). No draw is made: it has no noise."""
        terms = self.terms(x)
        return terms["reconstruction"] - terms["kl"]

    def loss(self, x: Tensor) -> Tensor:
        """beta kl - reconstruction + commitment |h - e|^2, (B,): nats but for the last term.

        The prior sees integers, so what it learns moves neither encoder nor decoder, and both may
        be trained before it. With ``beta`` 0 it is not asked.
        """
        x = self.data.check(x, trusted=self.training)
        passed, codes, distance = self._quantised(x)
        loss = self.commitment * distance - self.decoder(passed).log_prob(x)
        return loss - self.beta * self.prior.log_prob(codes) if self.beta else loss

    # --- in and out -------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at the codes of x, shaped like x."""
        return self.likelihood(self.encode(x)).mean

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored: codes from the prior, then x given the codes.

        ``generator`` lives on the model's device.
        """
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        codes = self.prior.sample(max(n, 1), generator=generator)  # networks reshape no empty batch
        x = self.likelihood(codes).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), if it has such a start."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)
