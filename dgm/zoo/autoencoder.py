"""Chapter 4: autoencoders. The copier, five ways to forbid the identity, and one that spikes."""

import math

from torch import nn

from dgm.autoencoder.autoencoder import Autoencoder
from dgm.autoencoder.denoising import DenoisingAutoencoder, GaussianCorruption
from dgm.autoencoder.sparse import (
    KeepLargest,
    L1Penalty,
    RatePenalty,
    SparseAutoencoder,
    UnitAtoms,
)
from dgm.autoencoder.spiking import (
    LIF,
    ExampleActivity,
    LeakyReadout,
    NeuronActivity,
    SpikingAutoencoder,
)
from dgm.autoencoder.stochastic import StochasticAutoencoder
from dgm.autoencoder.tied import TiedAutoencoder
from dgm.distribution.support import Levels, Reals
from dgm.nets.mlp import MLP
from dgm.zoo.entry import Entry, Tiny

CHAPTER = "04_autoencoders"
BRANCH = ("code", "autoencoder")


def _sigmoid_pair(data: Levels | Reals, code_dim: int) -> tuple[nn.Module, nn.Module]:
    """One hidden layer of sigmoid units, and linear outputs: the net that all of them share."""
    data.count(code_dim, "code_dim", least=1)
    encoder = nn.Sequential(nn.Linear(data.dims, code_dim), nn.Sigmoid())
    return encoder, nn.Linear(code_dim, data.dims)


def autoencoder(data: Levels | Reals, code_dim: int = 256) -> Autoencoder:
    """Over-complete autoencoder: no rule; with more units than inputs it copies."""
    return Autoencoder(data, *_sigmoid_pair(data, code_dim))


def bottleneck_autoencoder(
    data: Levels | Reals, code_dim: int = 16, hidden: tuple[int, ...] = (128, 128)
) -> Autoencoder:
    """Bottleneck autoencoder: few units in the middle, with deep networks around them."""
    data.count(code_dim, "code_dim", least=1)
    encoder = MLP(data.dims, code_dim, hidden)
    return Autoencoder(data, encoder, MLP(code_dim, data.dims, hidden[::-1]))


def tied_autoencoder(data: Levels | Reals, code_dim: int = 256) -> TiedAutoencoder:
    """Tied autoencoder: one matrix, there and transposed back."""
    return TiedAutoencoder(data, (code_dim,))


def sparse_autoencoder(
    data: Levels | Reals, code_dim: int = 256, weight: float = 1.0, rate: float = 0.02
) -> SparseAutoencoder:
    """Sparse autoencoder: every unit shall fire for one example in fifty; atoms of unit length."""
    encoder, _ = _sigmoid_pair(data, code_dim)
    decoder = UnitAtoms(code_dim, data.dims)
    return SparseAutoencoder(data, encoder, decoder, RatePenalty(weight, rate))


def l1_autoencoder(
    data: Levels | Reals, code_dim: int = 256, weight: float = 0.2
) -> SparseAutoencoder:
    """L1 autoencoder: ReLU units that pay for their activity; atoms of unit length."""
    data.count(code_dim, "code_dim", least=1)
    encoder = nn.Sequential(nn.Linear(data.dims, code_dim), nn.ReLU())
    return SparseAutoencoder(data, encoder, UnitAtoms(code_dim, data.dims), L1Penalty(weight))


def k_sparse_autoencoder(data: Levels | Reals, code_dim: int = 256, k: int = 12) -> Autoencoder:
    """k-sparse autoencoder: the k largest units speak, the others are silent."""
    if data.count(k, "k", least=1) > data.count(code_dim, "code_dim", least=1):
        raise ValueError(f"k must be at most code_dim = {code_dim}, got {k}")
    encoder = nn.Sequential(nn.Linear(data.dims, code_dim), KeepLargest(k))
    return Autoencoder(data, encoder, nn.Linear(code_dim, data.dims))


def denoising_autoencoder(
    data: Levels | Reals, code_dim: int = 256, std: float = 0.4
) -> DenoisingAutoencoder:
    """Denoising autoencoder: Gaussian noise on the input, the clean one asked for."""
    pair = _sigmoid_pair(data, code_dim)
    return DenoisingAutoencoder(data, *pair, GaussianCorruption(std))


def stochastic_autoencoder(
    data: Levels | Reals, code_dim: int = 256, std: float = 0.5
) -> StochasticAutoencoder:
    """Stochastic autoencoder: Gaussian noise on the bounded code."""
    return StochasticAutoencoder(data, *_sigmoid_pair(data, code_dim), std)


def spiking_autoencoder(
    data: Levels | Reals,
    code_dim: int = 64,
    hidden: int = 128,
    time_steps: int = 20,
    example_weight: float = 1.0,
    neuron_weight: float = 10.0,
    band: tuple[float, float] = (0.05, 0.3),
    gain: float = 1.0,
) -> SpikingAutoencoder:
    """Spiking autoencoder: three layers of leaky integrate-and-fire neurons, a leaky readout.

    Weights start with standard deviation gain / sqrt(inputs).
    """
    d = data.dims
    for size, name in ((code_dim, "code_dim"), (hidden, "hidden")):
        data.count(size, name, least=1)
    encoder = nn.Sequential(nn.Linear(d, hidden), LIF(), nn.Linear(hidden, code_dim), LIF())
    readout = nn.Linear(hidden, d), LeakyReadout()
    decoder = nn.Sequential(nn.Linear(code_dim, hidden), LIF(), *readout)
    for layer in (*encoder[::2], *decoder[::2]):
        nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
    penalties = ExampleActivity(example_weight), NeuronActivity(neuron_weight, *band)
    return SpikingAutoencoder(data, encoder, decoder, time_steps, penalties)


ENTRIES = (
    Entry(
        autoencoder,
        "R2",
        (
            "Bourlard & Kamp (1988), Auto-Association by Multilayer Perceptrons",
            "https://doi.org/10.1007/BF00332918",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        bottleneck_autoencoder,
        "R2 R5",
        (
            "Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data",
            "https://doi.org/10.1126/science.1127647",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 2, "hidden": (6,)}, std=0.6),
    ),
    Entry(
        tied_autoencoder,
        "R2",
        (
            "Vincent et al. (2010), Stacked Denoising Autoencoders",
            "https://jmlr.org/papers/v11/vincent10a.html",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        sparse_autoencoder,
        "R2",
        (
            "Ng (2011), Sparse Autoencoder, CS294A Lecture Notes",
            "https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        l1_autoencoder,
        "R2",
        (
            "Olshausen & Field (1997), Sparse Coding with an Overcomplete Basis Set",
            "https://doi.org/10.1016/S0042-6989(97)00169-7",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        k_sparse_autoencoder,
        "R2",
        ("Makhzani & Frey (2014), k-Sparse Autoencoders", "https://arxiv.org/abs/1312.5663"),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6, "k": 3}, std=0.6),
    ),
    Entry(
        denoising_autoencoder,
        "R2 R3",
        (
            "Vincent et al. (2010), Stacked Denoising Autoencoders",
            "https://jmlr.org/papers/v11/vincent10a.html",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        stochastic_autoencoder,
        "R2",
        (
            "Salakhutdinov & Hinton (2009), Semantic Hashing",
            "https://doi.org/10.1016/j.ijar.2008.11.006",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6}, std=0.6),
    ),
    Entry(
        spiking_autoencoder,
        "V18",
        (
            "Huebotter, Lanillos & Tomczak (2021), Training Deep Spiking Auto-encoders",
            "https://arxiv.org/abs/2109.11045",
        ),
        Tiny(Levels((1, 2, 2), 3), {"code_dim": 6, "hidden": 6, "time_steps": 6}, std=0.6),
    ),
)
