"""Linear codes of chapter 3: PCA and its relatives, ICA, sparse coding, noisy-OR."""

import math

import torch
from torch import Tensor, nn

from dgm.flow.dequantize import Dequantize
from dgm.linear.dictionary import DictionaryLearner
from dgm.linear.ica import ICA
from dgm.linear.linear_autoencoder import LinearAutoencoder
from dgm.linear.linear_vae import LinearVAE
from dgm.linear.noisy_or import NoisyOr
from dgm.linear.pca import PCA
from dgm.linear.probabilistic_pca import ProbabilisticPCA
from dgm.linear.sparse_coding import fista
from dgm.zoo.entry import Entry

CHAPTER = "03_linear_codes"
EXACT, CODE = ("explicit", "exact", "linear"), ("code", "linear")


def pca(shape: tuple[int, ...], levels: int | None = None, latent_dim: int = 1) -> PCA:
    """The leading directions of real values; `start_from` finds them."""
    return PCA(shape, latent_dim)


def linear_autoencoder(
    shape: tuple[int, ...], levels: int | None = None, latent_dim: int = 1
) -> LinearAutoencoder:
    """Two matrices for real values."""
    return LinearAutoencoder(shape, latent_dim)


def probabilistic_pca(
    shape: tuple[int, ...], levels: int | None = None, latent_dim: int = 1
) -> nn.Module:
    """A density of real values; with ``levels``, a bound on that of integers."""
    model = ProbabilisticPCA(shape, latent_dim)
    return model if levels is None else Dequantize(model, levels)


def linear_vae(
    shape: tuple[int, ...],
    levels: int | None = None,
    latent_dim: int = 1,
    variance: float | None = None,
) -> LinearVAE:
    """Probabilistic PCA of real values with a learned posterior."""
    return LinearVAE(shape, latent_dim, variance)


def ica(shape: tuple[int, ...], levels: int | None = None) -> ICA:
    """As many peaked, heavy-tailed sources as there are real values."""
    return ICA(math.prod(shape))


def sparse_coder(
    shape: tuple[int, ...],
    levels: int | None = None,
    n_atoms: int = 4,
    penalty: float = 0.1,
    steps: int = 50,
) -> DictionaryLearner:
    """A dictionary whose codes FISTA finds."""
    return DictionaryLearner(math.prod(shape), n_atoms, penalty, fista, steps)


def noisy_or(shape: tuple[int, ...], levels: int = 2, n_causes: int = 4) -> NoisyOr:
    """Binary causes of binary findings."""
    if levels != 2:
        raise ValueError(f"levels must be 2 for findings that are there or not, got {levels}")
    return NoisyOr(n_causes, math.prod(shape))


def _rows(seed: int, dim: int = 3, n: int = 16) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def _moved_by(model: nn.Module, seed: int, std: float = 0.4) -> nn.Module:
    """The model with its parameters moved at random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(std * torch.empty_like(p).normal_(generator=generator))
    return model


def _tiny_pca(seed: int = 0) -> tuple[nn.Module, Tensor]:
    model, x = PCA((3,), 2), _rows(seed)
    model.start_from(x @ _rows(seed + 1, n=3))
    return model, x


def _tiny_linear_autoencoder(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _moved_by(LinearAutoencoder((3,), 2), seed), _rows(seed)


def _tiny_probabilistic_pca(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _moved_by(ProbabilisticPCA((2,), 1), seed), _rows(seed, dim=2)


def _tiny_linear_vae(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _moved_by(LinearVAE((2,), 2), seed), _rows(seed, dim=2)


def _tiny_ica(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _moved_by(ICA(2), seed), _rows(seed, dim=2)


def _tiny_sparse_coder(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _moved_by(sparse_coder((3,), n_atoms=5), seed), _rows(seed)


def _tiny_noisy_or(seed: int = 0) -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 2, (16, 5), generator=generator, dtype=torch.uint8)
    return _moved_by(NoisyOr(3, 5), seed), x


def _linear(name: str, title: str, build, tiny, files: str, row: str, branch, source) -> Entry:
    """An entry of this chapter; paper and address from ``source``."""
    return Entry(
        name=name,
        title=title,
        family="linear",
        build=build,
        files=tuple(f"linear/{file}" for file in files.split()),
        chapter=CHAPTER,
        rows=(row,),
        paper=source[0],
        url=f"https://doi.org/{source[1]}" if source[1][0] == "1" else source[1],
        branch=branch,
        tiny=tiny,
    )


PEARSON = "Pearson (1901), On Lines and Planes of Closest Fit", "10.1080/14786440109462720"
BALDI = "Baldi & Hornik (1989), Neural Networks and Principal Component Analysis"
BALDI = BALDI, "10.1016/0893-6080(89)90014-2"
TIPPING = "Tipping & Bishop (1999), Probabilistic Principal Component Analysis"
TIPPING = TIPPING, "10.1111/1467-9868.00196"
LUCAS = "Lucas et al. (2019), Don't Blame the ELBO!", "https://arxiv.org/abs/1911.02469"
BELL = "Bell & Sejnowski (1995), An Information-Maximization Approach", "10.1162/neco.1995.7.6.1129"
OLSHAUSEN = "Olshausen & Field (1996), Emergence of Simple-Cell Receptive Field Properties"
OLSHAUSEN = OLSHAUSEN, "10.1038/381607a0"
HECKERMAN = "Heckerman (1989), A Tractable Inference Algorithm for Diagnosing Multiple Diseases"
HECKERMAN = HECKERMAN, "https://arxiv.org/abs/1304.1511"

ENTRIES = (
    _linear("pca", "PCA", pca, _tiny_pca, "pca.py", "R4", CODE, PEARSON),
    _linear("linear_autoencoder", "Linear autoencoder", linear_autoencoder,
            _tiny_linear_autoencoder, "linear_autoencoder.py", "R4", CODE, BALDI),
    _linear("sparse_coder", "Sparse coding", sparse_coder, _tiny_sparse_coder,
            "dictionary.py sparse_coding.py", "R1", CODE, OLSHAUSEN),
    _linear("probabilistic_pca", "Probabilistic PCA", probabilistic_pca,
            _tiny_probabilistic_pca, "probabilistic_pca.py", "R4", EXACT, TIPPING),
    _linear("linear_vae", "Linear VAE", linear_vae, _tiny_linear_vae, "linear_vae.py", "R4",
            EXACT, LUCAS),
    _linear("ica", "Independent components", ica, _tiny_ica, "ica.py", "R6", EXACT, BELL),
    _linear("noisy_or", "Noisy-OR network", noisy_or, _tiny_noisy_or,
            "noisy_or.py noisy_or_bounds.py", "R7", EXACT, HECKERMAN),
)  # fmt: skip
