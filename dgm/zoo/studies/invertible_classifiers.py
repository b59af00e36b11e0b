"""Errors of classifiers on invertible bodies: affine and additive couplings, residual blocks.

The bodies of table 2 of Behrmann et al. (2019) on 8 by 8 digits, small; a residual body without a
Lipschitz constraint beside them. ``python -m dgm.zoo.studies.invertible_classifiers`` trains what
is not on file yet, some ten seconds of one core each, and keeps the errors only.
"""

from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dgm import data, runtime
from dgm.distribution.support import Levels
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.elementwise import Permute
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.multiscale import Squeeze
from dgm.nets.resnet import ResNet
from dgm.residual.contractive import Contractive
from dgm.residual.spectral import SpectralConv2d, held
from dgm.train import fit
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
BODIES, SEEDS = ("affine", "additive", "i-ResNet", "unconstrained"), range(3)
FIT = dict(steps=200, batch_size=64, lr=4e-3, weight_decay=0.05, warmup=30, clip_norm=1.0)


class _Added(nn.Module):
    """x + g(x), its log-determinant left out: a classifier needs none."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """x (B, C, H, W) -> the same shape, and nothing."""
        return x + self.net(x), None

    def inverse(self, z: Tensor, steps: int = 100) -> Tensor:
        """z -> x (B, C, H, W) by so many fixed-point steps, wherever they lead."""
        x = z
        with held(self.net):
            for _ in range(steps):
                x = z - self.net(x)
        return x


class InvertibleClassifier(nn.Module):
    """Layers that squeeze and lose nothing, then one linear map to the logits of ten classes.

    Own method: ``reconstruct``.
    """

    def __init__(self, body: str, kind: Levels, steps: int = 3, width: int = 32):
        super().__init__()
        if body not in BODIES:
            raise ValueError(f"body must be one of {', '.join(BODIES)}, got {body!r}")
        layers, (channels, height, width_in_pixels) = [], kind.shape
        for _ in range(2):
            channels, height, width_in_pixels = 4 * channels, height // 2, width_in_pixels // 2
            layers.append(Squeeze())
            for _ in range(steps):
                layers += _step(body, channels, (height, width_in_pixels), width)
        self.layers, self.head = nn.ModuleList(layers), nn.Linear(kind.dims, 10)
        self.data = kind

    def forward(self, x: Tensor) -> Tensor:
        """Levels x (B, C, H, W) -> logits (B, 10)."""
        h = self.data.scaled(self.data.check(x), dtype=self.head.weight.dtype)
        for layer in self.layers:
            h = layer(h)[0]
        return self.head(h.flatten(1))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Levels x through all layers and back, layer by layer: levels as they come out, floats."""
        h = self.data.scaled(self.data.check(x), dtype=self.head.weight.dtype)
        for layer in self.layers:
            h = layer(h)[0]
        for layer in reversed(self.layers):
            h = layer.inverse(h)
        return self.data.unscaled(h)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross entropy (B,), nats."""
        return cross_entropy(self(x), y, reduction="none")


def _step(body: str, channels: int, place: tuple[int, int], width: int) -> list[nn.Module]:
    """One step of a body: Glow's with 1x1 convolution, NICE's with reversal, or x + g(x)."""
    net = partial(ResNet, width=width, blocks=1)
    if body == "affine":
        coupling = AffineCoupling(net(channels // 2, channels))
        return [ActNorm(channels), InvertibleConv1x1(channels), coupling]
    if body == "additive":
        coupling = AdditiveCoupling(net(channels // 2, channels // 2))
        return [ActNorm(channels), Permute(channels), coupling]

    def convolution(i: int, n_in: int, n_out: int, coefficient: float) -> nn.Module:
        kernel = (3, 1, 3)[i]
        if body == "unconstrained":
            return nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
        return SpectralConv2d((n_in, *place), n_out, kernel, coefficient)

    wide = round(1.45 * width)  # as many parameters as the couplings
    widths = (channels, wide, wide, channels)
    return [ActNorm(channels), _Added(Contractive(widths, convolution, nn.ELU, 0.9))]


def load() -> list[dict]:
    """One dict for each run: body, seed, errors of validation and test in percent, parameters."""
    return read_runs(FILE)


def train_classifier(body: str, seed: int) -> dict:
    """Train one body on the thousand training digits and count what it gets wrong."""
    digits = data.load("digits")
    runtime.seed(seed)
    model = InvertibleClassifier(body, digits.kind)
    fit(model, (digits.train, digits.train_y), seed=seed, progress=False, **FIT)
    found = dict(body=body, seed=seed)
    for name, x, y in (
        ("val", digits.val, digits.val_y),
        ("test", digits.test, digits.test_y),
    ):
        with torch.no_grad():
            wrong = (model.eval()(x).argmax(1) != y).float().mean().item()
        found[name] = round(100 * wrong, 2)
    return found | {"parameters": sum(p.numel() for p in model.parameters())}


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(body=body, seed=seed) for seed, body in product(SEEDS, BODIES)]
    train_missing(FILE, cells, train_classifier, fit=FIT)


if __name__ == "__main__":
    main()
