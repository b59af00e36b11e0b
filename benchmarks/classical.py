"""EM of mixtures and sparse codes of this package against scikit-learn, in processor time.

Both sides work on the same numbers in one thread and one process and take turns; the ratio theirs
to ours is formed within a round, and the table shows its median and quartiles. EM: one iteration,
from the difference of a long and a short run, whose results must agree. Sparse codes: the time to
codes; quality is the largest violation of the optimality conditions (mean over the examples). FISTA
stops at 1e-4 of the penalty; `exact_codes` must be at least as good as theirs.

    python benchmarks/classical.py          # about a minute; writes classical.json
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.decomposition import sparse_encode
from sklearn.mixture import GaussianMixture as SklearnMixture

from dgm.distribution.support import Reals
from dgm.linear.exact_codes import exact_codes
from dgm.linear.sparse_coding import fista, kkt_gap
from dgm.mixture.gaussian_mixture import GaussianMixture

N, DIM, COMPONENTS = 20_000, 8, 8
SHORT, LONG = 1, 11  # iterations of EM


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def em_rounds(full: bool, rounds: int) -> list[float]:
    """Ratios theirs to ours of the time of one iteration of EM, in float64."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(N, DIM, generator=generator, dtype=torch.float64)
    centres = 3 * torch.randn(COMPONENTS, DIM, generator=generator, dtype=torch.float64)
    x = points + centres[torch.randint(COMPONENTS, (N,), generator=generator)]
    spread = np.diag(1 / x.var(0).numpy()) if full else 1 / x.var(0).numpy()
    start = {
        "weights_init": np.full(COMPONENTS, 1 / COMPONENTS),
        "means_init": x[:COMPONENTS].numpy(),
        "precisions_init": np.stack([spread] * COMPONENTS),
        "covariance_type": "full" if full else "diag",
    }

    def theirs(steps: int) -> SklearnMixture:
        model = SklearnMixture(COMPONENTS, max_iter=steps, tol=0.0, reg_covar=0.0, **start)
        return model.fit(x.numpy())

    def ours(steps: int) -> GaussianMixture:
        model = GaussianMixture(COMPONENTS, Reals((DIM,)), full=full).double()
        with torch.no_grad():
            model.means.copy_(x[:COMPONENTS])
            model.log_scale.copy_(x.var(0).log() / 2)
        return model.fit_to(x, steps)

    apart = theirs(LONG).score(x.numpy()) - ours(LONG).log_prob(x).mean().item()
    assert abs(apart) < 1e-6, f"after {LONG} iterations they are {apart} nats apart"
    ratios = []
    for _ in range(rounds):
        each = [
            seconds(lambda fit=fit: fit(LONG)) - seconds(lambda fit=fit: fit(SHORT))
            for fit in (theirs, ours)
        ]
        ratios.append(each[0] / each[1])
    return ratios


def sparse_rounds(dtype: torch.dtype, rounds: int) -> dict[str, list[float]]:
    """Ratios theirs (lasso_cd) to ours of the time to code 1000 examples; by FISTA, and exactly."""
    generator = torch.Generator().manual_seed(0)
    dictionary = torch.randn(64, 128, generator=generator, dtype=torch.float64)
    dictionary = torch.nn.functional.normalize(dictionary, dim=0)
    active = torch.rand(1000, 128, generator=generator).argsort(1) < 6
    h = active * torch.randn(1000, 128, generator=generator, dtype=torch.float64)
    noise = 0.05 * torch.randn(1000, 64, generator=generator, dtype=torch.float64)
    x, dictionary, penalty = (h @ dictionary.T + noise).to(dtype), dictionary.to(dtype), 0.1
    rows, atoms = x.numpy(), np.ascontiguousarray(dictionary.T.numpy())

    def theirs() -> np.ndarray:
        return sparse_encode(rows, atoms, algorithm="lasso_cd", alpha=penalty, max_iter=1000)

    def gap(codes: torch.Tensor) -> float:
        """Mean over the examples, looked at in float64."""
        arguments = (t.double() for t in (x, codes, dictionary))
        return kkt_gap(*arguments, penalty).mean().item()

    # how good each is
    steps = 10
    while gap(fista(x, dictionary, penalty, steps)) > 1e-5:
        steps += 2
    best, lasso = (
        gap(exact_codes(x, dictionary, penalty, fista, kkt_gap)),
        gap(torch.from_numpy(theirs()).to(dtype)),
    )
    print(f"  {dtype}: gaps {best:.0e} exact, {lasso:.0e} lasso_cd, 1e-5 after {steps} steps")
    assert best < lasso or dtype == torch.float32, "codes are called exact and are not"
    # how long each takes
    name = f"sparse codes, {str(dtype)[6:]}"
    ours = {
        f"{name}, {steps} steps of FISTA": lambda: fista(x, dictionary, penalty, steps),
        f"{name}, exact_codes": lambda: exact_codes(x, dictionary, penalty, fista, kkt_gap),
    }
    return {
        title: [seconds(theirs) / seconds(call) for _ in range(rounds)]
        for title, call in ours.items()
    }


def main() -> None:
    """Time everything, print a table and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    load = [round(value, 2) for value in os.getloadavg()]
    found = {f"EM, {kind}": em_rounds(kind == "full", rounds) for kind in ("full", "diagonal")}
    for dtype in (torch.float32, torch.float64):
        found |= sparse_rounds(dtype, rounds)
    table = {}
    for name, ratios in found.items():
        low, middle, high = statistics.quantiles(ratios, n=4)
        table[name] = {"median": round(middle, 2), "quartiles": [round(low, 2), round(high, 2)]}
        print(f"{name:45} theirs / ours {middle:5.2f}  ({low:.2f} to {high:.2f})")
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "threads": 1,
        "load_before": load,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"hardware": machine, "rounds": rounds, "ratios": table}, indent=1))


if __name__ == "__main__":
    main()
