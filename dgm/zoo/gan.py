"""The GANs of chapter 16: two networks, and what their authors had them minimise."""

from typing import Any

from torch import nn

from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.gan.games import Minimax, NonSaturating, RelativisticPair, Wasserstein
from dgm.gan.gan import GAN
from dgm.gan.penalties import UnitSlope, ZeroSlope
from dgm.gan.spectral import spectrally_normalised
from dgm.nets.mlp import MLP
from dgm.nets.strided import GrowingGenerator, StridedCritic
from dgm.train import Fit
from dgm.train.game import play
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.studies.judges import distance_to

CHAPTER = "16_gan"
BRANCH = ("implicit", "adversarial")


def _perceptrons(
    data: Levels | Reals, latent_dim: int, hidden: tuple[int, ...], pairs: bool = False
) -> tuple[nn.Module, nn.Module, StandardNormal]:
    """A generator, a critic and the prior: perceptrons, whatever the shape of the data.

    ``pairs``: the game sees differences of logits only, in which a last bias would cancel.
    """
    data.count(latent_dim, "latent_dim", least=1)
    generator = nn.Sequential(MLP(latent_dim, data.dims, hidden, activation=nn.LeakyReLU))
    if isinstance(data, Levels):
        generator.append(nn.Tanh())
    critic = nn.Sequential(nn.Flatten(), MLP(data.dims, 1, hidden, activation=nn.LeakyReLU))
    if pairs:
        critic[-1][-1].register_parameter("bias", None)
    return generator, critic, StandardNormal((latent_dim,))


def minimax_gan(
    data: Levels | Reals, latent_dim: int = 16, hidden: tuple[int, ...] = (128, 128)
) -> GAN:
    """Minimax GAN: the game as it was written down, its generator flat where the critic is sure."""
    generator, critic, prior = _perceptrons(data, latent_dim, hidden)
    return GAN(data, generator, critic, Minimax(), prior)


def nonsaturating_gan(
    data: Levels | Reals, latent_dim: int = 16, hidden: tuple[int, ...] = (128, 128)
) -> GAN:
    """Non-saturating GAN: the same critic, and a generator that lowers -log D."""
    generator, critic, prior = _perceptrons(data, latent_dim, hidden)
    return GAN(data, generator, critic, NonSaturating(), prior)


def wasserstein_gan(
    data: Levels | Reals, latent_dim: int = 16, hidden: tuple[int, ...] = (128, 128),
    weight: float = 0.1,
) -> GAN:  # fmt: skip
    """Wasserstein GAN: a distance in place of a classifier, slopes held near one by a penalty."""
    generator, critic, prior = _perceptrons(data, latent_dim, hidden, pairs=True)
    return GAN(data, generator, critic, Wasserstein(), prior, UnitSlope(weight))


def spectral_gan(
    data: Levels | Reals, latent_dim: int = 16, hidden: tuple[int, ...] = (128, 128)
) -> GAN:
    """Spectrally normalised GAN: non-saturating, no layer of the critic stretches anything."""
    generator, critic, prior = _perceptrons(data, latent_dim, hidden)
    return GAN(data, generator, spectrally_normalised(critic), NonSaturating(), prior)


def relativistic_gan(
    data: Levels | Reals, latent_dim: int = 16, hidden: tuple[int, ...] = (128, 128),
    weight: float = 0.1, noise: float = 0.0,
) -> GAN:  # fmt: skip
    """Relativistic GAN: pairs of real and fake, slopes held near zero at both (R1 and R2)."""
    generator, critic, prior = _perceptrons(data, latent_dim, hidden, pairs=True)
    return GAN(data, generator, critic, RelativisticPair(), prior, ZeroSlope(weight), noise)


def conv_gan(
    data: Levels | Reals, latent_dim: int = 64, generator_widths: tuple[int, ...] = (64, 32),
    critic_widths: tuple[int, ...] = (32, 64), hidden: int = 128, weight: float = 1.0,
    noise: float = 0.0,
) -> GAN:  # fmt: skip
    """Convolutional GAN: strided convolutions, relativistic pairs, R1 and R2."""
    data.count(latent_dim, "latent_dim", least=1)
    generator = GrowingGenerator(latent_dim, data.shape, generator_widths)
    critic = StridedCritic(data.shape, critic_widths, hidden)
    prior = StandardNormal((latent_dim,))
    return GAN(data, generator, critic, RelativisticPair(), prior, ZeroSlope(weight), noise)


def play_and_choose(
    model: GAN, dataset: Any, seed: int, *, moved: float = 0.0, **settings: Any
) -> Fit:
    """`play`, keeping the review whose draws are nearest to the validation digits, by a judge.

    ``moved``: training pictures are shifted by this part of a pixel, less and less.
    """
    until = max(1, round(0.8 * settings["steps"] * settings.get("critic_steps", 1)))
    augment = Jitter(dataset.levels, until, shift=moved, turn=0.3 * moved) if moved else None
    score = distance_to(dataset.val, dataset.name)
    return play(model, dataset.train, score=score, augment=augment, seed=seed, **settings)


_GOODFELLOW = ("Goodfellow et al. (2014)", "https://arxiv.org/abs/1406.2661")
_GULRAJANI = ("Gulrajani et al. (2017)", "https://arxiv.org/abs/1704.00028")
_MIYATO = ("Miyato et al. (2018)", "https://arxiv.org/abs/1802.05957")
_HUANG = ("Huang et al. (2024)", "https://arxiv.org/abs/2501.05441")
_RADFORD = ("Radford et al. (2016)", "https://arxiv.org/abs/1511.06434")
_TINY = Tiny(Reals((2,)), dict(latent_dim=3, hidden=(5, 7)))
_TINY_PICTURES = Tiny(
    Levels((1, 4, 4), 5),
    dict(latent_dim=3, generator_widths=(4, 6), critic_widths=(5, 3), hidden=7),
)
_DIGITS = Recipe(
    dict(latent_dim=32, hidden=(256, 256), weight=1.0, noise=1.0),
    dict(steps=2500, batch_size=64, lr=1e-3, average=0.995, schedule="cosine", eval_every=250,
         moved=0.3, progress=False),
    play_and_choose, seeds=3,
)  # fmt: skip
_MNIST = Recipe(
    dict(weight=5.0),
    dict(steps=4500, batch_size=32, lr=1e-3, average=0.998, schedule="cosine", eval_every=500,
         progress=False),
    play_and_choose,
)  # fmt: skip

ENTRIES = (
    Entry(minimax_gan, "G2", _GOODFELLOW, _TINY),
    Entry(nonsaturating_gan, "G2 G4", _GOODFELLOW, _TINY),
    Entry(wasserstein_gan, "G4", _GULRAJANI, _TINY),
    Entry(spectral_gan, "G4", _MIYATO, _TINY),
    Entry(relativistic_gan, "G4", _HUANG, _TINY, {"digits": _DIGITS}),
    Entry(conv_gan, "G5", _RADFORD, _TINY_PICTURES, {"mnist": _MNIST}),
)
