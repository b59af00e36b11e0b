"""Who is too sure of the digits: a classifier, a joint model, one whose energy has its own output.

``python -m dgm.zoo.studies.joint_calibration`` trains what is not on file, one core, a quarter of a
minute a joint model: calibration by the number of digits, with and without moving them. Everything
but the loss, and the output for the energy apart, is the same for all three.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime
from dgm.data.dataset import Dataset
from dgm.hybrid.semi_supervised import few_labels
from dgm.jem.joint_energy import JointEnergyModel
from dgm.measure.calibration import calibration_error
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.train.guarded import GuardedFit, guarded_fit
from dgm.train.jitter import Jitter
from dgm.zoo.jem import jem
from dgm.zoo.studies.joint_or_plain import calibrated
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, COUNTS = (0, 1, 2), (1000, 100)
TRAINED_AS = ("plain", "joint", "apart")
MOVED = 0.7  # of a pixel, as in the recipes of chapter 20
WEIGHT = 0.1  # of log p(x), the same
NET = dict(widths=(16, 32, 32), strides=(2, 1, 1), hidden=64)
SIZES = dict(noise=0.2, pace=0.5, rank=8, n_chains=32, n_kept=64, steps=4)
FIT = dict(steps=500, batch_size=64, lr=2e-3, weight_decay=0.01, average=0.99, warmup=10)


class EnergyApart(nn.Module):
    """Logits log p(y | x) + c(x): their log-sum-exp is c, an output that the softmax never sees.

    ``net`` gives K + 1 numbers, K of them for the softmax and c. The joint likelihood is that of
    the sum as ever; only its part log p(x) no longer pulls at the likeliest class.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, u: Tensor) -> Tensor:
        """u (B, *shape) -> (B, K)."""
        out = self.net(u)
        return out[:, :-1].log_softmax(1) + out[:, -1:]


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def one_of_three(digits: Dataset, trained_as: str) -> JointEnergyModel:
    """An untrained model of the three."""
    model = jem(digits.kind, **NET, **SIZES, weight=0.0 if trained_as == "plain" else WEIGHT)
    if trained_as == "apart":
        model.net = EnergyApart(SmoothConvNet(digits.shape, 11, **NET))
    return model


def fit_all(model: JointEnergyModel, digits: Dataset, moved: float, seed: int) -> GuardedFit:
    """Fit the Gaussians to a thousand noisy copies, moved like the digits, then all the rest."""
    augment = Jitter(17, round(0.8 * FIT["steps"]), moved, 0.3 * moved) if moved else None
    # few digits many times over: the noise around them is then seen in every direction
    again = torch.arange(1000) % len(digits.train)
    x, y = digits.train[again], digits.train_y[again]
    u = digits.kind.scaled(augment(x, 0) if augment else x)
    model.chains.start.fit_to(u + model.noise * torch.randn(u.shape), y)
    pairs = (digits.train, digits.train_y)
    return guarded_fit(
        model, pairs, augment=augment, seed=seed, clip_norm=5.0, progress=False, **FIT
    )


def train_and_ask(trained_as: str, labels: int, moved: float, seed: int) -> dict:
    """Train one cell on so many digits; calibration on test digits and on those of validation."""
    digits = data.load("digits")
    chosen = few_labels(digits.train_y, labels, 10, seed)
    runtime.seed(seed)
    some = replace(digits, train=digits.train[chosen], train_y=digits.train_y[chosen])
    model = one_of_three(some, trained_as)
    fitted = fit_all(model, some, moved, seed)
    found = calibrated(model, digits)
    with torch.no_grad():
        said, held_out = model(digits.test).softmax(1), model(digits.val).softmax(1)
    found["over"] = said.amax(1).double().mean().item() - found["accuracy"]
    found["val_ece"] = calibration_error(held_out, digits.val_y)
    found = {name: round(value, 5) for name, value in found.items()}
    return found | {"went_back": len(fitted.rollbacks)}


def main() -> None:
    """Train what is missing, the settings of chapter 20 first."""
    settings = [(1000, MOVED), *((n, 0.0) for n in COUNTS)]
    cells = [
        dict(trained_as=name, labels=n, moved=moved, seed=seed)
        for (n, moved), seed, name in product(settings, SEEDS, TRAINED_AS)
    ]
    train_missing(FILE, cells, train_and_ask, net=NET, sizes=SIZES, fit=FIT, weight=WEIGHT)


if __name__ == "__main__":
    main()
