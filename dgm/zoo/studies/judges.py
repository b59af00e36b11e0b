"""Two classifiers whose features pictures are compared by: of 8 by 8 and of 28 by 28 digits.

``python -m dgm.zoo.studies.judges`` trains those that are not on file, the first in two seconds (it
is chapter 4's, number for number), the second in a minute of one core. Accuracies stand in the
header of ``judges-NAME.safetensors.xz``.
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from dgm import data, runtime
from dgm.data.dataset import Dataset
from dgm.evaluate import measuring
from dgm.measure.frechet import frechet_distance
from dgm.measure.judge import Judge
from dgm.measure.precision_recall import precision_recall
from dgm.nets.conv import ImageEncoder
from dgm.nets.mlp import MLP
from dgm.train import fit
from dgm.train.jitter import Jitter
from dgm.zoo import weights

FOLDER = Path(__file__).parent
AT_ONCE = 1000  # draws in a comparison


def untrained(name: str) -> Judge:
    """The judge of "digits" or "mnist" before training."""
    if name not in ("digits", "mnist"):
        raise ValueError(f"name must be 'digits' or 'mnist', got {name!r}")
    kind = data.kind(name)
    if name == "digits":
        return Judge(kind, nn.Sequential(nn.Flatten(), MLP(64, 64, (128,), dropout=0.3)), 64)
    return Judge(kind, ImageEncoder(kind.shape, 64, width=16, halvings=2, dropout=0.3), 64)


def train_judge(name: str, digits: Dataset) -> Judge:
    """Train the judge of one set."""
    runtime.seed(0)
    judge = untrained(name)
    pairs = dict(val=(digits.val, digits.val_y), lr=2e-3, weight_decay=0.1, progress=False)
    if name == "digits":
        fit(judge, (digits.train, digits.train_y), steps=600, **pairs)
    else:
        jitter = Jitter(levels=256, until=1900, shift=1.0, turn=0.1)
        settings = dict(steps=2000, batch_size=64, eval_every=1000, augment=jitter, warmup=100)
        fit(judge, (digits.train, digits.train_y), **pairs | settings)
    return judge.eval()


def file_of(name: str) -> Path:
    """Where a judge is kept."""
    return FOLDER / f"judges-{name}{weights.SUFFIX}"


@lru_cache(maxsize=2)
def load(name: str) -> Judge:
    """The trained judge of "digits" or "mnist", in eval mode."""
    judge = untrained(name)
    judge.load_state_dict({k: t.float() for k, t in weights.read_weights(file_of(name))[0].items()})
    return judge.eval()


def accuracy(name: str) -> float:
    """Share of all test pictures whose class the judge sees, as measured when it was trained."""
    return float(weights.read_weights(file_of(name))[1]["accuracy"])


@torch.no_grad()
def features(x: Tensor, name: str) -> Tensor:
    """What the judge of ``name`` sees in pictures x, (N, 64)."""
    return torch.cat([load(name).features(part) for part in x.split(500)])


def compared(x: Tensor, truth: Tensor, name: str, k: int = 3) -> dict[str, float]:
    """Draws x against real pictures, by features: distance, precision and recall.

    The distance is from all real pictures given; the shares are those among as many as there are
    draws, and of the draws among them.
    """
    drawn, real = features(x, name), features(truth, name)
    n = min(len(drawn), len(real))
    precision, recall = precision_recall(real[:n], drawn[:n], k)
    return {"frechet": frechet_distance(drawn, real), "precision": precision, "recall": recall}


def distance_to(truth: Tensor, name: str, n: int = AT_ONCE):
    """model -> Frechet distance of n draws, always on the same noise: a ``score`` of `play`."""
    real = features(truth, name)

    def score(model: nn.Module) -> float:
        with measuring(model, 0):
            return frechet_distance(features(model.sample(n), name), real)

    return score


def truth_of(name: str) -> Tensor:
    """The real pictures that draws are compared with: the test digits, of MNIST every second one.

    (The first half of MNIST's test part is cleaner than the second.)
    """
    return data.load("digits").test if name == "digits" else data.load(f"{name}_test").test[::2]


def control(n: int = AT_ONCE) -> Tensor:
    """n real digits of MNIST that are not among those."""
    others = data.load("mnist_test").test[1::2]
    return others[:: len(others) // n][:n]


def by_draws(model: nn.Module, name: str, repeats: int = 4) -> list[float]:
    """Frechet distance of 1,000 draws, the deviation between such sets, precision and recall."""
    truth, found = truth_of(name), []
    with measuring(model, 1):
        for _ in range(repeats):
            found.append(list(compared(model.sample(AT_ONCE), truth, name).values()))
    table = torch.tensor(found, dtype=torch.float64)
    (distance, *shares), spread = table.mean(0).tolist(), table[:, 0].std().item()
    return [round(value, 3) for value in (distance, spread, *shares)]


def main() -> None:
    """Train what is missing."""
    for name in ("digits", "mnist"):
        if not file_of(name).is_file():
            digits = data.load(name)
            judge = train_judge(name, digits)
            seen = judge.accuracy(digits.test, digits.test_y)
            weights.save_weights(judge, file_of(name), accuracy=f"{seen:.4f}")
            print(name, f"{seen:.4f}", sum(p.numel() for p in judge.parameters()), flush=True)


if __name__ == "__main__":
    main()
