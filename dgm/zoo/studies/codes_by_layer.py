"""What every layer of eight models of 8 by 8 digits knows of the class.

``python -m dgm.zoo.studies.codes_by_layer`` trains what is not on file. Seed 0 of a system with
weights is those weights; the two learners without a density are trained here. Three seeds of those
and of the VAE, of the others the weights that stand. Six minutes of one core.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dgm import data, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.measure.code_length import code_length
from dgm.measure.layers import rows_by_layer
from dgm.measure.paths import arc, judged, straight
from dgm.measure.probe import honest_probe, label_curve
from dgm.measure.scorecard import silhouette
from dgm.train import fit
from dgm.zoo.studies import judges
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.train import train

FILE = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)
COUNTS, DRAWS = (10, 20, 50, 100, 200, 500, 1000), 5
KEPT = (0.99, 0.9, 0.6, 0.3)  # shares alpha^2 of the picture that a diffusion model is shown
LEARNERS = {  # sizes and settings of what is trained here; steps by the time there was
    "contrastive": (
        dict(width=48, features=64, projected=32, temperature=0.2, shift=0.7, turn=0.2, noise=0.1),
        dict(steps=300, batch_size=128, lr=2e-3, weight_decay=0.02, progress=False),
    ),
    "masked_prediction": (
        dict(width=64, features=64, patch=2, share=0.5),
        dict(steps=1200, batch_size=100, lr=2e-3, weight_decay=0.05, progress=False),
    ),
}
ONCE = ("pixels", "PixelCNN", "transformer", "flow", "energy", "diffusion")  # weights that stand
SYSTEMS = {  # what the chapter calls it, and the name of the system
    "pixels": "",
    "PixelCNN": "pixelcnn",
    "transformer": "transformer",
    "flow": "spline_flow",
    "energy": "jem",
    "VAE": "gaussian_vae",
    "diffusion": "levels_diffusion",
    "contrastive": "contrastive",
    "masked prediction": "masked_prediction",
}
LAYERS = {  # modules whose output is a layer, from the picture on
    "transformer": ("net.embed", *(f"net.backbone.blocks.{k}" for k in range(3)), "net.head"),
    "pixelcnn": (
        "net.stack.first", *(f"net.stack.layers.{k}" for k in range(6)), "net.stack.out",
        "net.head",
    ),
    "spline_flow": (
        *(f"flow.layers.1.levels.{i}.{k}" for i in (0, 1) for k in (2, 5, 8, 11)), "flow",
    ),
    "jem": (*(f"net.convolutions.{k}" for k in range(3)), "net.hidden", "net.last"),
    "gaussian_vae": (
        "encoder.net.1.0", "encoder.net.1.3", "encoder.start.net", "decoder.net.net.0",
        "decoder.net.net.3", "decoder.net.net.6",
    ),
    "levels_diffusion": tuple(
        f"predictor.net.{k}" for k in ("stem", "down.0", "middle.0", "middle.1", "join", "up.0")
    ),
}  # fmt: skip
_CONV = ("convolutions.0", "convolutions.1", "convolutions.2", "hidden", "last")
LAYERS["contrastive"] = (*(f"encoder.{k}" for k in _CONV), "head")
LAYERS["masked_prediction"] = (*(f"encoder.{k}" for k in _CONV), "decoder")


OWN = {  # what the model itself would call its code; of the others the layer chosen on validation
    "flow": "flow",
    "VAE": "encoder.start.net",
    "contrastive": "encoder.last",
    "masked prediction": "encoder.last",
}


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def learner(name: str, seed: int, dataset: Dataset) -> nn.Module:
    """Train one of the two learners without a density; labels are not looked at."""
    sizes, settings = LEARNERS[name]
    runtime.seed(seed)
    model = zoo.get(name).build(dataset.kind, **sizes)
    fit(model, dataset.train, seed=seed, **settings)
    return model.eval()


def trained(name: str, seed: int, dataset: Dataset) -> nn.Module:
    """Seed 0 from its weights, other seeds by the recipe."""
    if name in LEARNERS:
        return learner(name, seed, dataset)
    model = zoo.load(name, "digits") if seed == 0 else train(zoo.get(name), "digits", seed)[0]
    return model.eval()


def layer_runner(model: nn.Module, name: str, kept: float = 0.0) -> Callable[[Tensor], Any]:
    """What runs all layers of a model on pictures x as stored.

    A diffusion model sees them with noise, alpha^2 = ``kept``, always the same for a batch.
    """
    # what each kind of model is called with
    if name == "spline_flow":
        return lambda x: model.flow(x.float() + 0.5)
    if name == "gaussian_vae":
        return lambda x: model.likelihood(model.posterior(x).mean)
    if name == "contrastive":
        return lambda x: model.project(model.data.scaled(x))
    if name == "masked_prediction":
        return lambda x: model.decoder(model.encode(x))
    if name != "levels_diffusion":
        return model
    # a diffusion model, at one level of noise

    def noisy(x: Tensor) -> Tensor:
        u, gamma = model.data.scaled(x), torch.full((len(x),), kept).logit().neg()
        eps = torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
        return model.predictor(model.process.noised(u, gamma, eps), gamma)

    return noisy


def layers_of(model: nn.Module, name: str, dataset: Dataset) -> dict[str, list[Tensor]]:
    """Rows of (train, val, test) by layer; of a diffusion model by layer and share kept."""
    parts, found = (dataset.train, dataset.val, dataset.test), {}
    for kept in KEPT if name == "levels_diffusion" else (0.0,):
        run = layer_runner(model, name, kept)
        rows = [rows_by_layer(model, run, LAYERS[name], x) for x in parts]
        for layer in LAYERS[name]:
            title = f"{layer} at {kept:g}" if kept else layer
            found[title] = [part[layer] for part in rows]
    return found


def of_code(rows: list[Tensor], dataset: Dataset) -> dict:
    """What is said of one code: label curve, code length of the train labels, neighbours."""
    y = dataset.train_y
    curve = label_curve(rows[0], y, rows[2], dataset.test_y, COUNTS, DRAWS)
    length = code_length(rows[0], y, 10)
    return {
        "curve": {str(n): [round(a, 4) for a in part] for n, part in curve.items()},
        "bits": round(length["bits"], 1),
        "compression": round(length["compression"], 3),
        "silhouette": round(silhouette(rows[2], dataset.test_y), 4),
    }


def walks(model: nn.Module, name: str, dataset: Dataset) -> dict:
    """Straight lines and arcs between the codes of 200 pairs of test digits, judged."""
    if name not in ("spline_flow", "gaussian_vae"):
        return {}
    x, judge = dataset.test[:400], judges.load("digits")
    with torch.no_grad():
        if name == "spline_flow":
            z = model.flow(x.float() + 0.5)[0]
            decode = lambda z: dataset.kind.stored(model.flow.inverse(z))  # noqa: E731
        else:
            z = model.posterior(x).mean
            decode = lambda z: likeliest(model, z)  # noqa: E731
    ends = z[:200], z[200:]
    kinds = {"straight": straight(*ends, 9), "arc": arc(*ends, 9)}
    return {kind: judged(path, decode, judge) for kind, path in kinds.items()}


def likeliest(model: nn.Module, z: Tensor) -> Tensor:
    """The mean picture of p(x | z), rounded to levels."""
    return model.data.stored(model.likelihood(z).mean + 0.5)


def layers_run(model: str, seed: int) -> dict:
    """Train one cell and measure it."""
    digits, name = data.load("digits"), SYSTEMS[model]
    labels = (digits.train_y, digits.val_y, digits.test_y)
    pixels = [part.flatten(1).float() for part in (digits.train, digits.val, digits.test)]
    net = trained(name, seed, digits) if name else None
    rows = layers_of(net, name, digits) if name else {"pixels": pixels}
    probed = {layer: honest_probe(part, labels) for layer, part in rows.items()}
    best = max(probed, key=lambda layer: probed[layer].val)  # the first of equal ones
    found = {
        "layers": [[layer, round(p.val, 4), round(p.accuracy, 4)] for layer, p in probed.items()],
        "best": best, "code": OWN.get(model, best), "majority": round(probed[best].majority, 4),
    }  # fmt: skip
    return found | of_code(rows[found["code"]], digits) | {"walks": walks(net, name, digits)}


def main() -> None:
    """Train what is missing."""
    cells = [dict(model=model, seed=0) for model in SYSTEMS]
    cells += [dict(model=m, seed=k) for k in SEEDS[1:] for m in SYSTEMS if m not in ONCE]
    train_missing(FILE, cells, layers_run, counts=COUNTS, draws=DRAWS, kept=KEPT)


if __name__ == "__main__":
    main()
