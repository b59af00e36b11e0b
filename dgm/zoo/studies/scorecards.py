"""Seven wishes for the codes of PCA, ICA, an autoencoder, a VAE and a beta-VAE of small sprites.

``python -m dgm.zoo.studies.scorecards`` trains what is not on file, three seeds each; a code that
is drawn at random and the factors themselves stand at the ends. A minute of one core.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.distribution.support import Reals
from dgm.linear.ica import fastica
from dgm.linear.pca import PCA
from dgm.measure.scorecard import wishes_of
from dgm.train import fit
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, DIMS, BETA = (0, 1, 2), 8, 4.0
CODES = ("factors", "noise", "PCA", "ICA", "autoencoder", "VAE", "beta-VAE")
STEPS = 500


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def small_sprites() -> Dataset:
    """4,000 sprites of 16 by 16 to train on, 500 to test."""
    return data.load("sprites", n=4000, size=16)


def sprite_facts(sprites: Dataset) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What `wishes_of` wants to know: the class is the shape, the hierarchy one of places.

    Fine classes are eight cells, their families four quadrants; factors that grow are scale, x and
    y; what may leave no trace is one pixel in fifty turned over.
    """
    y = sprites.test_y
    generator = torch.Generator().manual_seed(0)
    turned = torch.rand(sprites.test.shape, generator=generator) < 0.02
    test = {
        "x": sprites.test, "y": y[:, 0],
        "moved": torch.where(turned, 1 - sprites.test, sprites.test),
        "factors": y[:, [1, 3, 4]].float(), "fine": y[:, 3] // 2 + 4 * (y[:, 4] // 4),
        "family": y[:, 3] // 4 + 2 * (y[:, 4] // 4),
    }  # fmt: skip
    return {"x": sprites.train, "y": sprites.train_y[:, 0]}, test


def learned(name: str, seed: int, sprites: Dataset) -> nn.Module:
    """An autoencoder or a VAE of the sprites, all with eight codes and networks of one size."""
    runtime.seed(seed)
    settings = dict(steps=STEPS, batch_size=100, lr=2e-3, seed=seed, progress=False)
    if name == "autoencoder":
        pixels = sprites.train.float()
        build = zoo.get("bottleneck_autoencoder").build
        model = build(Reals(sprites.shape), code_dim=DIMS, hidden=(128, 128))
        fit(model, pixels, **settings)
    else:
        model = zoo.get("gaussian_vae").build(sprites.kind, latent_dim=DIMS, dropout=0.0)
        model.beta = BETA if name == "beta-VAE" else 1.0
        fit(model, sprites.train, **settings)
    return model.eval()


def encoder_of(name: str, seed: int, sprites: Dataset) -> Callable[[Tensor], Tensor]:
    """x as stored to codes (N, 8); linear codes are fitted, the others trained."""
    if name in ("PCA", "ICA"):
        rows = sprites.train.flatten(1).double()
        pca = PCA(Reals((rows.shape[1],)), DIMS).double().fit_to(rows)
        if name == "PCA":
            return lambda x: pca.encode(x.flatten(1).double())
        unmix = fastica(pca.encode(rows), generator=torch.Generator().manual_seed(seed))
        return lambda x: pca.encode(x.flatten(1).double()) @ unmix.T
    if name == "noise":
        generator = torch.Generator().manual_seed(seed)
        return lambda x: torch.randn(len(x), DIMS, generator=generator)
    model = learned(name, seed, sprites)
    if name == "autoencoder":
        return lambda x: model.encode(x.float())
    return lambda x: model.posterior(x).mean


def ideal(y: Tensor) -> Tensor:
    """The factors as a code: the shape as one of three, then scale, x and y as numbers."""
    shape = 3 * nn.functional.one_hot(y[:, 0], 3)
    return torch.cat((shape.float(), y[:, [1, 3, 4]].float()), 1)


def card_run(code: str, seed: int) -> dict:
    """Score one code."""
    sprites = small_sprites()
    train, test = sprite_facts(sprites)
    if code == "factors":
        known = {"x": ideal(sprites.test_y), "moved": ideal(sprites.test_y)}
        train, test = train | {"x": ideal(sprites.train_y)}, test | known
        return {"scores": wishes_of(lambda x: x, train, test)}
    return {"scores": wishes_of(encoder_of(code, seed, sprites), train, test)}


def main() -> None:
    """Train what is missing."""
    cells = [dict(code=code, seed=seed) for code in CODES for seed in SEEDS]
    train_missing(FILE, cells, card_run, dims=DIMS, beta=BETA, steps=STEPS)


if __name__ == "__main__":
    main()
