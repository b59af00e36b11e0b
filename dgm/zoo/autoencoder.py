"""Autoencoders of the zoo: the copier, five ways to forbid the identity, and one that spikes."""

import math

import torch
from torch import Tensor, nn

from dgm.autoencoder.autoencoder import Autoencoder
from dgm.autoencoder.denoising import DenoisingAutoencoder, GaussianCorruption
from dgm.autoencoder.scaling import RealRows, UnitPixels
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
from dgm.nets.mlp import MLP
from dgm.zoo.entry import Entry

BRANCH = ("code", "autoencoder")
CHAPTER = "04_autoencoders"


def rows_of(shape: tuple[int, ...], levels: int | None) -> nn.Module:
    """Pixels to 0..1, or real values as they are."""
    return RealRows(math.prod(shape)) if levels is None else UnitPixels(shape, levels)


def _sigmoid_pair(dims: int, code_dim: int) -> tuple[nn.Module, nn.Module]:
    """One hidden layer of sigmoid units, and linear outputs: the net that all of them share."""
    return nn.Sequential(nn.Linear(dims, code_dim), nn.Sigmoid()), nn.Linear(code_dim, dims)


def autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256
) -> Autoencoder:
    """No rule: with more units than inputs it copies."""
    rows = rows_of(shape, levels)
    return Autoencoder(*_sigmoid_pair(rows.dims, code_dim), rows)


def bottleneck_autoencoder(
    shape: tuple[int, ...],
    levels: int | None = None,
    code_dim: int = 16,
    hidden: tuple[int, ...] = (128, 128),
) -> Autoencoder:
    """Few units in the middle, with deep networks around them."""
    rows = rows_of(shape, levels)
    encoder = MLP(rows.dims, code_dim, hidden)
    return Autoencoder(encoder, MLP(code_dim, rows.dims, hidden[::-1]), rows)


def tied_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256
) -> TiedAutoencoder:
    """One matrix, there and transposed back."""
    rows = rows_of(shape, levels)
    return TiedAutoencoder((rows.dims, code_dim), rows)


def sparse_autoencoder(
    shape: tuple[int, ...],
    levels: int | None = None,
    code_dim: int = 256,
    weight: float = 1.0,
    rate: float = 0.02,
) -> SparseAutoencoder:
    """Every unit shall fire for one example in fifty; atoms of unit length."""
    rows = rows_of(shape, levels)
    encoder, _ = _sigmoid_pair(rows.dims, code_dim)
    decoder = UnitAtoms(code_dim, rows.dims)
    return SparseAutoencoder(encoder, decoder, rows, RatePenalty(weight, rate))


def l1_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256, weight: float = 0.2
) -> SparseAutoencoder:
    """ReLU units that pay for their activity; atoms of unit length."""
    rows = rows_of(shape, levels)
    encoder = nn.Sequential(nn.Linear(rows.dims, code_dim), nn.ReLU())
    return SparseAutoencoder(encoder, UnitAtoms(code_dim, rows.dims), rows, L1Penalty(weight))


def k_sparse_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256, k: int = 12
) -> Autoencoder:
    """The k largest units speak, the others are silent."""
    rows = rows_of(shape, levels)
    encoder = nn.Sequential(nn.Linear(rows.dims, code_dim), KeepLargest(k))
    return Autoencoder(encoder, nn.Linear(code_dim, rows.dims), rows)


def denoising_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256, std: float = 0.4
) -> DenoisingAutoencoder:
    """Gaussian noise on the input, the clean one asked for."""
    rows = rows_of(shape, levels)
    pair = _sigmoid_pair(rows.dims, code_dim)
    return DenoisingAutoencoder(*pair, rows, GaussianCorruption(std))


def stochastic_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, code_dim: int = 256, std: float = 0.5
) -> StochasticAutoencoder:
    """Gaussian noise on the bounded code."""
    rows = rows_of(shape, levels)
    return StochasticAutoencoder(*_sigmoid_pair(rows.dims, code_dim), rows, std)


def spiking_autoencoder(
    shape: tuple[int, ...],
    levels: int | None = None,
    code_dim: int = 64,
    hidden: int = 128,
    time_steps: int = 20,
    example_weight: float = 1.0,
    neuron_weight: float = 10.0,
    band: tuple[float, float] = (0.05, 0.3),
    gain: float = 1.0,
) -> SpikingAutoencoder:
    """Three layers of leaky integrate-and-fire neurons and a leaky readout.

    Weights start with standard deviation gain / sqrt(inputs).
    """
    rows = rows_of(shape, levels)
    d = rows.dims
    encoder = nn.Sequential(nn.Linear(d, hidden), LIF(), nn.Linear(hidden, code_dim), LIF())
    readout = nn.Linear(hidden, d), LeakyReadout()
    decoder = nn.Sequential(nn.Linear(code_dim, hidden), LIF(), *readout)
    for layer in (*encoder[::2], *decoder[::2]):
        nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
    penalties = ExampleActivity(example_weight), NeuronActivity(neuron_weight, *band)
    return SpikingAutoencoder(encoder, decoder, rows, time_steps, penalties)


def _small_autoencoder(build, **sizes):
    """A maker of a small randomised model of 2 by 2 pixels and a batch."""

    def tiny(seed: int = 0) -> tuple[nn.Module, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        model = build((1, 2, 2), 3, **sizes)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(0.6 * torch.empty_like(p).normal_(generator=generator))
        pixels = torch.randint(0, 3, (16, 1, 2, 2), generator=generator, dtype=torch.uint8)
        return model, pixels

    return tiny


def _autoencoder_entry(
    name: str, title: str, build, file: str, rows: str, source: tuple[str, str], **sizes
) -> Entry:
    """An entry of this chapter: two files to copy, paper and address from ``source``."""
    return Entry(
        name=name,
        title=title,
        family="autoencoder",
        build=build,
        files=(f"autoencoder/{file}", "autoencoder/scaling.py"),
        chapter=CHAPTER,
        rows=tuple(rows.split()),
        paper=source[0],
        url=source[1],
        branch=BRANCH,
        tiny=_small_autoencoder(build, **sizes),
    )


BOURLARD = "Bourlard & Kamp (1988), Auto-Association by Multilayer Perceptrons"
BOURLARD = BOURLARD, "https://doi.org/10.1007/BF00332918"
HINTON = "Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks"
HINTON = HINTON, "https://doi.org/10.1126/science.1127647"
VINCENT = "Vincent et al. (2010), Stacked Denoising Autoencoders"
VINCENT = VINCENT, "https://jmlr.org/papers/v11/vincent10a.html"
NG = "Ng (2011), Sparse Autoencoder, CS294A Lecture Notes"
NG = NG, "https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf"
ATOMS = "Olshausen & Field (1997), Sparse Coding with an Overcomplete Basis Set"
ATOMS = ATOMS, "https://doi.org/10.1016/S0042-6989(97)00169-7"
MAKHZANI = "Makhzani & Frey (2014), k-Sparse Autoencoders", "https://arxiv.org/abs/1312.5663"
HASHING = "Salakhutdinov & Hinton (2009), Semantic Hashing"
HASHING = HASHING, "https://doi.org/10.1016/j.ijar.2008.11.006"
HUEBOTTER = "Huebotter, Lanillos & Tomczak (2021), Training Deep Spiking Auto-encoders"
HUEBOTTER = HUEBOTTER, "https://arxiv.org/abs/2109.11045"

ENTRIES = (
    _autoencoder_entry("autoencoder", "Over-complete autoencoder", autoencoder,
                       "autoencoder.py", "R2", BOURLARD, code_dim=6),
    _autoencoder_entry("bottleneck_autoencoder", "Bottleneck autoencoder", bottleneck_autoencoder,
                       "autoencoder.py", "R2 R5", HINTON, code_dim=2, hidden=(6,)),
    _autoencoder_entry("tied_autoencoder", "Tied autoencoder", tied_autoencoder,
                       "tied.py", "R2", VINCENT, code_dim=6),
    _autoencoder_entry("sparse_autoencoder", "Sparse autoencoder", sparse_autoencoder,
                       "sparse.py", "R2", NG, code_dim=6),
    _autoencoder_entry("l1_autoencoder", "L1 autoencoder", l1_autoencoder,
                       "sparse.py", "R2", ATOMS, code_dim=6),
    _autoencoder_entry("k_sparse_autoencoder", "k-sparse autoencoder", k_sparse_autoencoder,
                       "sparse.py", "R2", MAKHZANI, code_dim=6, k=3),
    _autoencoder_entry("denoising_autoencoder", "Denoising autoencoder", denoising_autoencoder,
                       "denoising.py", "R2 R3", VINCENT, code_dim=6),
    _autoencoder_entry("stochastic_autoencoder", "Stochastic autoencoder", stochastic_autoencoder,
                       "stochastic.py", "R2", HASHING, code_dim=6),
    _autoencoder_entry("spiking_autoencoder", "Spiking autoencoder", spiking_autoencoder,
                       "spiking.py", "V18", HUEBOTTER, code_dim=6, hidden=6, time_steps=6),
)  # fmt: skip
