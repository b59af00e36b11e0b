"""What does the work in an integer flow: its shifts, or the laws of what leaves? Three seeds.

``python -m dgm.zoo.studies.shifts_or_laws`` trains what is not on file: no couplings, couplings by
the straight-through gradient, couplings that learn from the shifts next to theirs; each with laws
that look at what stays and with laws that do not. Blind laws have the same networks, whose first
weights are zero: laws that are plain parameters learn so slowly that couplings move everything
before the laws have found it. One core, twenty seconds a model.
"""

from pathlib import Path

from dgm import data, runtime
from dgm.evaluate import nats
from dgm.zoo.compression import integer_flow, less_and_less_jitter
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)
SHIFTS = {"none": {"couplings": 0}, "straight": {"straight": True}, "neighbours": {}}
SIZES = dict(couplings=1, width=64, law_width=128, dropout=0.2)
FIT = dict(
    steps=350, batch_size=64, lr=2e-3, weight_decay=0.1, average=0.995, shift=0.3, turn=0.1,
    warmup=100, clip_norm=1.0, eval_every=50, progress=False,
)  # fmt: skip


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def run_of_shifts(shifts: str, looks: bool, seed: int) -> dict:
    """Train one cell; its test nats, exact."""
    runtime.seed(seed)
    digits = data.load("digits")
    model = integer_flow(digits.kind, **SIZES | SHIFTS[shifts])
    for stage in () if looks else model.stages[:-1]:  # nothing stays at the last one
        stage.net.first.weight.requires_grad_(False).zero_()
    fitted = less_and_less_jitter(model, digits, seed, **FIT)
    score = nats(model.eval(), digits.test)
    return {"val": round(fitted.best_val, 3), "test": round(score.mean, 3),
            "se": round(score.standard_error, 3)}  # fmt: skip


def main() -> None:
    """Train what is missing."""
    cells = [
        dict(shifts=shifts, looks=looks, seed=seed)
        for seed in SEEDS
        for looks in (True, False)
        for shifts in SHIFTS
    ]
    train_missing(FILE, cells, run_of_shifts, steps=FIT["steps"])


if __name__ == "__main__":
    main()
