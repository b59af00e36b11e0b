"""The importance-weighted bound of the Sylvester VAE on all 10,000 large digits, taken once.

``python -m dgm.zoo.studies.many_draws`` measures what is not on file yet: minutes of one core, too
long for a chapter.
"""

from pathlib import Path

from dgm import data, evaluate, runtime, zoo
from dgm.zoo.large import in_bits
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
CELLS = (dict(system="sylvester_picture_vae", k=8),)


def load() -> list[dict]:
    """One dict for each system: k, bits/dim of the bound with k draws, its standard error."""
    return read_runs(FILE)


def measure_all(system: str, k: int) -> dict:
    """Score all test pictures with k draws each."""
    runtime.seed(0)
    model, pictures = zoo.load(system, "mnist"), data.load("mnist_test").test
    score = in_bits(evaluate.nats(model, pictures, k=k, batch_size=32))
    return {"test": round(score.mean, 4), "error": round(score.standard_error, 4)}


def main() -> None:
    """Measure what is not on file yet."""
    train_missing(FILE, CELLS, measure_all)


if __name__ == "__main__":
    main()
