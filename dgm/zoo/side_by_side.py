"""Every family of the book in one row each: its systems, how they are drawn from, what is on file.

What chapter 28 puts side by side. Nothing here is typed in but which system stands for a family.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dgm import data, zoo
from dgm.diffusion.ddim import DDIM
from dgm.distribution.support import Levels
from dgm.evaluate import Estimate
from dgm.measure.drawing_cost import likelihood_of
from dgm.zoo.large import in_bits, stored_bits
from dgm.zoo.studies import diffusion_draws, draws_by_judge, more_draws


@dataclass(frozen=True)
class Row:
    """A family: its part of the map, its systems of large and small digits, and one to be grown.

    ``sizes`` are what the grown one takes beside those of its tests; ``flat``: it takes rows.
    """

    family: str
    large: str
    small: str
    growing: str
    sizes: dict | None = None
    flat: bool = False


ROWS = {
    "mixture": Row("mixture", "deep_mixture", "deep_mixture", "deep_mixture"),
    "PPCA": Row(
        "linear", "probabilistic_pca", "probabilistic_pca", "probabilistic_pca",
        dict(latent_dim=8),
    ),
    "autoregressive": Row(
        "autoregressive", "pixel_wavenet", "wavenet", "pixel_wavenet",
        dict(width=16, dilations=(1, 2, 4, 8)), flat=True,
    ),
    "autoregressive, class": Row(
        "autoregressive", "class_pixelcnn", "class_pixelcnn", "class_pixelcnn",
    ),
    "VAE": Row("latent", "vae", "vae", "vae"),
    "hierarchical VAE": Row("latent", "resnet_vae", "very_deep_vae", "resnet_vae"),
    "discrete codes": Row("latent", "vq_vae", "vq_vae", "vq_vae"),
    "coupling flow": Row("flow", "flowpp", "flowpp", "flowpp"),
    "residual flow": Row("flow", "residual_flow", "residual_flow", "residual_flow"),
    "continuous flow": Row("flow", "ffjord", "ffjord", "ffjord"),
    "GAN": Row("adversarial", "conv_gan", "relativistic_gan", "conv_gan"),
    "energy": Row("energy", "smoothed_energy", "contrastive_energy", "smoothed_energy"),
    "diffusion": Row(
        "diffusion", "guided_diffusion", "levels_diffusion", "levels_diffusion", dict(steps=20)
    ),
}  # fmt: skip
LEVELS_OF_GROWN = 5


def large_model(name: str) -> nn.Module:
    """The trained model of 28 by 28 digits; PCA, which has no weights in the zoo, untrained.

    (Its seconds and methods do not depend on what it has learned.)
    """
    if name != more_draws.PCA_NAME:
        return zoo.load(name, "mnist")
    found = more_draws.load()[name]
    return zoo.get(name).build(Levels((1, 28, 28), 256), latent_dim=found["latent_dim"]).eval()


def small_model(name: str, latent_dim: int = 40) -> nn.Module:
    """The trained model of 8 by 8 digits; PCA is fitted, in closed form, under a fixed noise."""
    if name != more_draws.PCA_NAME:
        return zoo.load(name, "digits")
    digits = data.load("digits")
    model = zoo.get(name).build(digits.kind, latent_dim=latent_dim)
    noise = torch.rand(digits.train.shape, generator=torch.Generator().manual_seed(0))
    model.flow.fit_to(digits.train.float() + noise)
    return model.eval()


def large_bits(name: str, model: nn.Module) -> Estimate | None:
    """Bits/dim of test pictures, exact or a bound, as stored; None of who offers neither."""
    if likelihood_of(model) in ("none", "up to a constant"):
        return None
    if name != more_draws.PCA_NAME:
        return stored_bits(name)
    found = more_draws.load()[name]
    return in_bits(Estimate(found["nats"], found["error"], 10_000))


def minutes_of(name: str) -> float:
    """Minutes of one core that the training of the model of 28 by 28 digits took."""
    if name == more_draws.PCA_NAME:
        return more_draws.load()[name]["train_seconds"] / 60
    return zoo.header(name, "mnist")["train_seconds"] / 60


def drawing(model: nn.Module, name: str, seed: int = 0) -> Callable[[int], Tensor]:
    """n -> draws (n, 1, 28, 28), as the chapters draw: of a model with labels all classes in turn,
    of the diffusion model in the steps that its draws were judged with.
    """
    made = torch.Generator().manual_seed(seed)

    def draw(n: int) -> Tensor:
        y = torch.arange(n) % 10
        if name == "guided_diffusion":
            run = diffusion_draws.load()[0]
            sampler = DDIM(run["steps"], eta=1.0, guidance=run["guidance"])
            return sampler(model, n, y=y, generator=made)
        given = {} if getattr(model, "condition", None) is None else {"y": y}
        return model.sample(n, generator=made, **given).view(n, 1, 28, 28)

    return draw


def judged_draws() -> dict[str, dict]:
    """By system: Frechet distance, precision and recall of a thousand draws, one judge.

    (Of the energy model those that were measured when its weights were made.)
    """
    found = draws_by_judge.load() | more_draws.load()
    frechet, _, precision, recall = zoo.header("smoothed_energy", "mnist")["seeds"][0]
    found |= {"smoothed_energy": dict(frechet=frechet, precision=precision, recall=recall)}
    return found | {"guided_diffusion": diffusion_draws.load()[0]}


def nats_by_seed(name: str) -> list[list[float]]:
    """Test nats of 8 by 8 digits, their error and, of a bound, those with 64 draws, by seed."""
    return list(zoo.header(name, "digits")["seeds"].values())


def grown(name: str, side: int) -> tuple[nn.Module, Callable[[int], Tensor]]:
    """A small system of a row with random weights, for pictures of a side; n -> draws."""
    row = ROWS[name]
    entry = zoo.get(row.growing)
    shape = (side * side,) if row.flat else (1, side, side)
    sizes = entry.tiny.sizes | (row.sizes or {})
    model = entry.build(Levels(shape, LEVELS_OF_GROWN), **sizes).eval()
    labelled = getattr(model, "condition", None) is not None

    def draw(n: int) -> Tensor:
        return (
            model.sample(n, y=torch.arange(n) % sizes["n_classes"]) if labelled else model.sample(n)
        )

    return model, draw


@torch.no_grad()
def code_of(model: nn.Module, x: Tensor) -> Tensor | None:
    """The code (N, D) that a model gives pictures x, by its methods; None where it has none.

    A flow's z at the middle of the bins, the mean of q(z|x), all layers of a hierarchical VAE,
    one-hot code words of a VQ-VAE, p(k|x) of a mixture.
    """
    flow = getattr(model, "flow", None)
    if hasattr(flow, "posterior"):  # PCA
        return flow.posterior(x.float() + 0.5).mean
    if flow is not None:
        return flow(x.float() + 0.5)[0].flatten(1)
    if hasattr(model, "latents"):
        return torch.cat([z.flatten(1) for z in model.latents(x)], 1)
    if hasattr(model, "encode"):
        codes = model.encode(x).flatten(1).long()
        return nn.functional.one_hot(codes).flatten(1).float()
    if hasattr(model, "energy") or not hasattr(model, "posterior"):
        return None
    law = model.posterior(x)
    return law.mean if hasattr(law, "base_dist") else law.probs
