"""InfoGAN: a few entries of a GAN's noise must be readable from what it draws.

Chen et al. (2016), InfoGAN: Interpretable representation learning by information maximizing
generative adversarial nets, arXiv:1606.03657, eqs. 5-6. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class CodesAndNoise(nn.Module):
    """``n_codes`` entries even on -1 .. 1, then ``n_noise`` standard normal ones.

    >>> CodesAndNoise(2, 3).sample(4).shape
    torch.Size([4, 5])
    """

    def __init__(self, n_codes: int, n_noise: int):
        super().__init__()
        if n_codes < 1 or n_noise < 0:
            raise ValueError(f"n_codes must be at least 1, n_noise 0; got {n_codes}, {n_noise}")
        self.n_codes, self.n_noise = n_codes, n_noise
        self.register_buffer("middle", torch.zeros(()))

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of z (B, n_codes + n_noise), (B,) nats."""
        codes, noise = z.split((self.n_codes, self.n_noise), 1)
        normal = -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)
        inside = (codes.abs() <= 1).all(1)
        return torch.where(inside, normal - self.n_codes * math.log(2), -math.inf)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, n_codes + n_noise)."""
        codes = self.middle.new_empty(n, self.n_codes).uniform_(-1, 1, generator=generator)
        noise = self.middle.new_empty(n, self.n_noise).normal_(generator=generator)
        return torch.cat((codes, noise), 1)


class InfoGAN(nn.Module):
    """A GAN whose generator also lowers -log q(c | G(c, noise)), q a Gaussian that a reader gives.

    H(c) less the mean of that is a lower bound on I(c; x), nats. There is no density of x.

    Parameters
    ----------
    gan : nn.Module
        ``data``, ``generator``, ``critic_loss(x)``, ``generator_loss(x)``, ``decode(z)``,
        ``sample``, and ``prior``, a `CodesAndNoise`: a `GAN`.
    reader : nn.Module
        Pictures on the scale -1 .. 1 (B, *shape) to the means of the codes (B, n_codes).
    weight : float
        Nats of the game that a nat about the codes is worth.

    Notes
    -----
    Own methods: ``codes``, ``unread``, ``decode``.
    """

    def __init__(self, gan: nn.Module, reader: nn.Module, weight: float = 1.0):
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be finite and at least 0, got {weight!r}")
        self.gan, self.reader, self.weight = gan, reader, weight
        self.data, self.prior = gan.data, gan.prior
        self.log_std = nn.Parameter(torch.zeros(gan.prior.n_codes))

    def codes(self, x: Tensor) -> Tensor:
        """What the reader makes of data x (B, *shape): means (B, n_codes)."""
        u = self.data.check(x, trusted=self.training)
        return self.reader(self.data.scaled(u, dtype=self.log_std.dtype))

    def unread(self, n: int) -> Tensor:
        """-log q(c | x) of n new draws, (n,) nats, with the gradient of generator and reader."""
        z = self.prior.sample(n)
        fake = self.gan.generator(z).reshape(n, *self.data.shape)
        eps = (z[:, : self.prior.n_codes] - self.reader(fake)) * (-self.log_std).exp()
        return (0.5 * eps.square() + self.log_std + 0.5 * math.log(2 * math.pi)).sum(1)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """The losses of the players on data x, and -log q of the codes of new draws, (B,) each."""
        x = self.data.check(x, trusted=self.training)
        critic, generator = self.gan.critic_loss(x), self.gan.generator_loss(x)
        return {"critic": critic, "generator": generator, "unread": self.unread(len(x))}

    def loss(self, x: Tensor) -> Tensor:
        """critic + generator + weight * unread (B,): every network gets its own gradient."""
        terms = self.terms(x)
        return terms["critic"] + terms["generator"] + self.weight * terms["unread"]

    def decode(self, z: Tensor) -> Tensor:
        """Codes and noise z (B, n_codes + n_noise) -> x (B, *shape), as stored."""
        return self.gan.decode(z)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape), as stored."""
        return self.gan.sample(n, generator=generator)
