"""What the layers of the stored models of 28 by 28 digits know of the class.

``python -m dgm.zoo.studies.mnist_layers`` measures what is not on file, on embedded pictures that
no model was trained on: of every fourth ten consecutive ones of MNIST's test part, three train the
probe (750), one chooses its penalty (250) and two test it (500). Two minutes of one core.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dgm import data, zoo
from dgm.measure.layers import rows_by_layer
from dgm.measure.probe import honest_probe
from dgm.zoo.studies import judges
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
KEPT = 0.9  # share alpha^2 of the picture that the diffusion model is shown
_LEVELS = tuple(f"flow.layers.1.levels.{i}.{k}" for i in (0, 1) for k in (2, 8, 14, 23))
MODELS = {  # what the chapter calls it: system, layers from the picture on, trained with labels?
    "pixels": ("", (), False),
    "WaveNet": ("pixel_wavenet", ("net.embed", "net.backbone.blocks", "net.head"), False),
    "flow": ("glow", (*_LEVELS[:-2], "flow.layers.1.levels.1.11", "flow"), False),
    "VAE": (
        "vae",
        ("encoder.net.first", *(f"encoder.net.blocks.{k}" for k in range(5)), "encoder.net.last",
         "decoder.net.net.0.first", "decoder.net.net.0.block", "decoder.net.net.0.finer.1"),
        False,
    ),
    "energy": ("smoothed_energy", ("net.down.0", "net.down.1", "net.mix", "net.hidden"), False),
    "diffusion": (
        "guided_diffusion",
        tuple(f"predictor.net.{k}" for k in ("stem", "down.0", "middle.0", "middle.1", "up.0")),
        True,
    ),
    "judge": ("", (), True),
}  # fmt: skip


def load() -> dict[str, list]:
    """Layers by model: (name, validation accuracy, test accuracy) each."""
    return {run["model"]: run["layers"] for run in read_runs(FILE)}


def parts_of(step: int = 1) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures and labels to train, choose and test with, of every ``step``-th ten."""
    digits, found = data.load("mnist_test"), {}
    tens = torch.arange(10_000).view(-1, 10)[::step]
    for name, columns in (("train", (0, 3, 6)), ("val", (1,)), ("test", (4, 8))):
        rows = tens[:, columns].flatten()
        found[name] = digits.test[rows], digits.test_y[rows]
    return found


def shown_large(model: nn.Module, name: str) -> Callable[[Tensor], Any]:
    """What runs all layers of a model on pictures x as stored."""
    if name == "glow":
        return lambda x: model.flow(x.float() + 0.5)
    if name == "vae":
        return lambda x: model.likelihood(model.posterior(x).mean)
    if name == "smoothed_energy":
        return model.energy
    if name != "guided_diffusion":
        return model

    def noisy(x: Tensor) -> Tensor:
        u, gamma = model.data.scaled(x), torch.full((len(x),), KEPT).logit().neg()
        eps = torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
        return model.predictor(model.process.noised(u, gamma, eps), gamma)

    return noisy


def one_model(model: str) -> dict:
    """Probe every layer of one model."""
    name, names, _ = MODELS[model]
    parts = parts_of(step=4)
    labels = [y for _, y in parts.values()]
    if name:
        net = zoo.load(name, "mnist")
        names = tuple(_each_block(net, names))
        run = shown_large(net, name)
        found = [rows_by_layer(net, run, names, x, 256, 50) for x, _ in parts.values()]
        rows = {layer: [part[layer] for part in found] for layer in names}
    else:
        see = judges.features if model == "judge" else lambda x, _: x.flatten(1).float()
        rows = {model: [see(x, "mnist") for x, _ in parts.values()]}
    probed = {layer: honest_probe(part, labels) for layer, part in rows.items()}
    layers = [[layer, round(p.val, 4), round(p.accuracy, 4)] for layer, p in probed.items()]
    return {"layers": layers}


def _each_block(net: nn.Module, names: tuple[str, ...]) -> list[str]:
    """The names, with a list of modules replaced by every third of them."""
    found = []
    for name in names:
        module = net.get_submodule(name)
        many = isinstance(module, nn.ModuleList)
        found += [f"{name}.{k}" for k in range(0, len(module), 3)] if many else [name]
    return found


def main() -> None:
    """Measure what is missing."""
    train_missing(FILE, [dict(model=model) for model in MODELS], one_model, kept=KEPT)


if __name__ == "__main__":
    main()
