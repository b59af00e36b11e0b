"""Models of 28 by 28 digits that `draws_by_judge` leaves out, and probabilistic PCA beneath them.

``python -m dgm.zoo.studies.more_draws`` judges what is not on file. PCA has no weights in the zoo:
it is fitted here, in closed form, on the training part of MNIST, with the number of directions that
does best on validation, and its bits are those of all test pictures.
"""

import json
import time
from pathlib import Path

import torch
from torch import nn

from dgm import data, evaluate, results, zoo
from dgm.evaluate import measuring
from dgm.zoo.studies.judges import compared, truth_of
from dgm.zoo.weights import SUFFIX, read_weights, write_weights

FILE = Path(__file__).with_suffix(".json")
DRAWN, AT_ONCE, SHOWN = 1000, 100, 12
DIRECTIONS = (32, 128)  # to choose from
PCA_NAME = "probabilistic_pca"
NAMES = (PCA_NAME, "ffjord", "residual_flow")


def load() -> dict[str, dict]:
    """By model: frechet, precision, recall, seconds of drawing; of PCA also its nats."""
    return json.loads(FILE.read_text(encoding="utf-8"))["models"]


def drawn_by_pca() -> torch.Tensor:
    """A dozen draws (12, 1, 28, 28) of probabilistic PCA, the first ones."""
    return read_weights(FILE.with_suffix(SUFFIX))[0][PCA_NAME]


def fitted_pca() -> tuple[nn.Module, dict]:
    """Probabilistic PCA of MNIST, noise over the bins, and what it scored."""
    digits, found = data.load("mnist"), []
    start = time.process_time()
    noise = torch.rand(digits.train.shape, generator=torch.Generator().manual_seed(0))
    for latent_dim in DIRECTIONS:
        model = zoo.get(PCA_NAME).build(digits.kind, latent_dim=latent_dim)
        model.flow.fit_to(digits.train.float() + noise)
        found.append((evaluate.nats(model, digits.val).mean, latent_dim, model))
    best, latent_dim, model = min(found, key=lambda one: one[0])
    seconds = round(time.process_time() - start, 1)
    # the test part, once
    score = evaluate.nats(model, data.load("mnist_test").test)
    said = {"latent_dim": latent_dim, "val": round(best, 3), "train_seconds": seconds}
    said |= {"parameters": sum(p.numel() for p in model.parameters())}
    return model, said | {"nats": round(score.mean, 3), "error": round(score.standard_error, 3)}


def main() -> None:
    """Judge what is missing, and write after each model."""
    found, truth = (load() if FILE.exists() else {}), truth_of("mnist")
    for name in NAMES:
        if name in found:
            continue
        model, said = fitted_pca() if name == PCA_NAME else (zoo.load(name, "mnist"), {})
        start = time.process_time()
        with measuring(model, 0):
            x = torch.cat([model.sample(AT_ONCE) for _ in range(DRAWN // AT_ONCE)])
        seconds = round(time.process_time() - start, 1)
        scores = {k: round(v, 3) for k, v in compared(x, truth, "mnist").items()}
        found[name] = said | scores | {"draws": DRAWN, "seconds": seconds}
        if name == PCA_NAME:
            write_weights({name: x[:SHOWN].contiguous()}, FILE.with_suffix(SUFFIX))
        said = {"hardware": results.hardware(), "models": found}
        FILE.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        print(name, found[name], flush=True)


if __name__ == "__main__":
    main()
