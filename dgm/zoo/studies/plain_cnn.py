"""The plain classifier that chapter 25 attacks: a small convolutional network of 28 by 28 digits.

``python -m dgm.zoo.studies.plain_cnn`` trains it in about a minute of one core. Its test accuracy
stands in the header of ``plain_cnn-mnist.safetensors.xz``. Of 8 by 8 digits it is chapter 20's.
"""

from functools import lru_cache
from pathlib import Path

from dgm import data, runtime
from dgm.measure.judge import Judge
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.train import fit
from dgm.train.jitter import Jitter
from dgm.zoo import weights

FILE = Path(__file__).with_name(f"plain_cnn-mnist{weights.SUFFIX}")
STEPS = 2500
FIT = dict(
    steps=STEPS, batch_size=128, lr=2e-3, weight_decay=0.05, warmup=100, average=0.99,
    progress=False,
)  # fmt: skip


def new_cnn() -> Judge:
    """The network before training."""
    kind = data.kind("mnist")
    net = SmoothConvNet(kind.shape, 64, widths=(16, 32, 32), strides=(2, 2, 1), hidden=64)
    return Judge(kind, net, 64)


@lru_cache(maxsize=1)
def load() -> Judge:
    """The trained network, in eval mode."""
    model = new_cnn()
    model.load_state_dict(weights.unpacked(weights.read_weights(FILE)[0]))
    return model.eval()


def stored_accuracy() -> float:
    """Share of all 10,000 test pictures that it classifies, measured as it is stored."""
    return float(weights.read_weights(FILE)[1]["accuracy"])


def main() -> None:
    """Train it where it is missing."""
    if FILE.is_file():
        return
    digits = data.load("mnist")
    runtime.seed(0)
    model = new_cnn()
    jitter = Jitter(levels=256, until=round(0.8 * STEPS), shift=0.7, turn=0.14)
    fit(model, (digits.train, digits.train_y), augment=jitter, seed=0, **FIT)
    model.load_state_dict(weights.unpacked(weights.rounded(model)))
    seen = model.eval().accuracy(digits.test, digits.test_y)
    weights.save_weights(model, FILE, accuracy=f"{seen:.4f}")
    print(f"{seen:.4f}", sum(p.numel() for p in model.parameters()), flush=True)


if __name__ == "__main__":
    main()
