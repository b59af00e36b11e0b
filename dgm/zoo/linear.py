"""Chapter 3: linear codes. PCA and its relatives, ICA, sparse coding, noisy-OR."""

from torch import nn

from dgm.distribution.support import Levels, Reals
from dgm.flow.dequantize import Dequantize
from dgm.linear.dictionary import DictionaryLearner
from dgm.linear.ica import ICA
from dgm.linear.linear_autoencoder import LinearAutoencoder
from dgm.linear.linear_vae import LinearVAE
from dgm.linear.noisy_or import NoisyOr
from dgm.linear.pca import PCA
from dgm.linear.probabilistic_pca import ProbabilisticPCA
from dgm.linear.sparse_coding import fista
from dgm.zoo.entry import Entry, Tiny

CHAPTER = "03_linear_codes"
BRANCH = ("explicit", "exact", "linear")


def _must_be_real(data: Levels | Reals, row: bool = False) -> None:
    """Raise a ValueError that names data unless it is real, and one row if so asked."""
    if not isinstance(data, Reals) or (row and len(data.shape) != 1):
        shape = " of shape (D,)" if row else ""
        raise ValueError(f"data must be Reals{shape}, got {data} of shape {data.shape}")


def pca(data: Reals, latent_dim: int = 1) -> PCA:
    """PCA: the leading directions of real values; `fit_to` finds them."""
    _must_be_real(data)
    return PCA(data, latent_dim)


def linear_autoencoder(data: Reals, latent_dim: int = 1) -> LinearAutoencoder:
    """Linear autoencoder: two matrices for real values."""
    _must_be_real(data)
    return LinearAutoencoder(data, latent_dim)


def probabilistic_pca(data: Levels | Reals, latent_dim: int = 1) -> nn.Module:
    """Probabilistic PCA: a density of real values, or a bound on that of integers."""
    if isinstance(data, Reals):
        return ProbabilisticPCA(data, latent_dim)
    return Dequantize(ProbabilisticPCA(Reals(data.shape), latent_dim), data)


def linear_vae(data: Reals, latent_dim: int = 1, variance: float | None = None) -> LinearVAE:
    """Linear VAE: probabilistic PCA of real values with a learned posterior."""
    _must_be_real(data)
    return LinearVAE(data, latent_dim, variance)


def ica(data: Reals) -> ICA:
    """Independent components: as many peaked, heavy-tailed sources as there are real values."""
    _must_be_real(data, row=True)
    return ICA(data)


def sparse_coder(
    data: Reals, n_atoms: int = 4, penalty: float = 0.1, steps: int = 50
) -> DictionaryLearner:
    """Sparse coding: a dictionary whose codes FISTA finds."""
    _must_be_real(data, row=True)
    return DictionaryLearner(data, n_atoms, penalty, fista, steps)


def noisy_or(data: Levels, n_causes: int = 4) -> NoisyOr:
    """Noisy-OR network: binary causes of binary findings."""
    if not isinstance(data, Levels) or data.levels != 2 or len(data.shape) != 1:
        raise ValueError(f"data must be Levels((D,), 2), there or not, got {data} {data.shape}")
    return NoisyOr(data, n_causes)


ENTRIES = (
    Entry(
        pca,
        "R4",
        (
            "Pearson (1901), On Lines and Planes of Closest Fit",
            "https://doi.org/10.1080/14786440109462720",
        ),
        Tiny(Reals((3,)), {"latent_dim": 2}),
        branch=("code", "linear"),
    ),
    Entry(
        linear_autoencoder,
        "R4",
        (
            "Baldi & Hornik (1989), Neural Networks and Principal Component Analysis",
            "https://doi.org/10.1016/0893-6080(89)90014-2",
        ),
        Tiny(Reals((3,)), {"latent_dim": 2}, std=0.4),
        branch=("code", "linear"),
    ),
    Entry(
        sparse_coder,
        "R1",
        (
            "Olshausen & Field (1996), Emergence of Simple-Cell Receptive Field Properties",
            "https://doi.org/10.1038/381607a0",
        ),
        Tiny(Reals((3,)), {"n_atoms": 5}, std=0.4),
        branch=("code", "linear"),
    ),
    Entry(
        probabilistic_pca,
        "R4",
        (
            "Tipping & Bishop (1999), Probabilistic Principal Component Analysis",
            "https://doi.org/10.1111/1467-9868.00196",
        ),
        Tiny(Reals((2,)), std=0.4),
    ),
    Entry(
        linear_vae,
        "R4",
        ("Lucas et al. (2019), Don't Blame the ELBO!", "https://arxiv.org/abs/1911.02469"),
        Tiny(Reals((2,)), {"latent_dim": 2}, std=0.4),
    ),
    Entry(
        ica,
        "R6",
        (
            "Bell & Sejnowski (1995), An Information-Maximization Approach",
            "https://doi.org/10.1162/neco.1995.7.6.1129",
        ),
        Tiny(Reals((2,)), std=0.4),
    ),
    Entry(
        noisy_or,
        "R7",
        (
            "Heckerman (1989), A Tractable Inference Algorithm for Diagnosing Multiple Diseases",
            "https://arxiv.org/abs/1304.1511",
        ),
        Tiny(Levels((5,), 2), {"n_causes": 3}, std=0.4),
    ),
)
