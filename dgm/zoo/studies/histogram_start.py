"""What a start at the histogram is worth to a flow of MNIST in a short training, three seeds each.

``python -m dgm.zoo.studies.histogram_start`` trains what is not on file yet, two minutes of one
core each, and keeps the scores only. It needs all of MNIST: downloaded, or below DGM_DATA.
"""

from itertools import product
from pathlib import Path

from dgm import data, evaluate, runtime, zoo
from dgm.zoo.entry import start_and_fit
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = range(3)
SIZES = dict(steps=(4, 4), width=32, sharpness=5.0)
FIT = dict(steps=1000, batch_size=16, lr=3e-3, weight_decay=0.01, warmup=200, clip_norm=1.0)
FIT |= dict(average=0.99, eval_every=500, held_out=1000, progress=False)


def load() -> list[dict]:
    """One dict for each run: marginals, seed, nats of the first 1,000 validation pictures."""
    return read_runs(FILE)


def train_started(marginals: bool, seed: int) -> dict:
    """Train a Flow++ on MNIST, with the histogram of every place before it or a plain logit."""
    mnist = data.load("mnist")
    runtime.seed(seed)
    model = zoo.get("flowpp").build(mnist.kind, marginals=marginals, **SIZES)
    start_and_fit(model, mnist, seed, **FIT)
    val = evaluate.nats(model.eval(), mnist.val[:1000], repeats=4)
    return {"val": round(val.mean, 2)}


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(marginals=start, seed=seed) for seed, start in product(SEEDS, (True, False))]
    train_missing(FILE, cells, train_started, sizes=SIZES, fit=FIT)


if __name__ == "__main__":
    main()
