"""A step of training of this package's Residual flow against ``normflows``: same sizes, same batch.

Not a requirement: ``python -m pip install --no-deps --target /tmp/rivals normflows==1.7.3``, then
``PYTHONPATH=/tmp/rivals:. python benchmarks/residual.py``. Both in one process, in turns; times are
processor time, the ratio is theirs over ours within a round. Both estimate the log-determinant by
geometric Russian roulette after two sure terms, with the Neumann gradient, and do one round of
power iteration a layer and step (normflows: up to a tolerance, which is what its default asks for).
"""

import argparse
import statistics
import time

import normflows as nf
import torch

from dgm.distribution.support import Reals
from dgm.zoo.residual import residual_flow

DIMS, WIDTH, BLOCKS, BATCH = 64, 128, 4, 64


def ours():
    """Four blocks of three layers, without 1x1 convolutions."""
    return residual_flow(Reals((DIMS,)), blocks=(BLOCKS,), width=WIDTH, depth=3, mixing=False)


def theirs():
    """The same in normflows, as in its documentation: `LipschitzMLP`, `Residual`, `ActNorm`."""
    flows = []
    for _ in range(BLOCKS):
        net = nf.nets.LipschitzMLP(
            [DIMS, WIDTH, WIDTH, DIMS], lipschitz_const=0.98, max_lipschitz_iter=1
        )
        flows += [
            nf.flows.ActNorm((DIMS,)),
            nf.flows.Residual(net, n_dist="geometric", n_exact_terms=2),
        ]
    flows.append(nf.flows.ActNorm((DIMS,)))
    return nf.NormalizingFlow(nf.distributions.DiagGaussian(DIMS, trainable=False), flows)


def seconds(model, loss, x, steps):
    """Processor time of a step: loss, gradient, Adam."""
    adam = torch.optim.Adam(model.parameters(), lr=1e-6, fused=True)
    start = time.process_time()
    for _ in range(steps):
        adam.zero_grad()
        loss(x).backward()
        adam.step()
    return (time.process_time() - start) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, mine, rival = torch.randn(BATCH, DIMS), ours().train(), theirs().train()
    losses = (lambda x: mine.loss(x).mean()), rival.forward_kld
    pairs = []
    for k in range(asked.rounds + 1):
        pair = [seconds(m, f, x, asked.steps) for m, f in zip((mine, rival), losses, strict=True)]
        pairs += [pair] if k else []  # the first round warms up
    ratios = [theirs / ours for ours, theirs in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"ours {1 / statistics.median(p[0] for p in pairs):.0f} steps/s, "
          f"normflows {1 / statistics.median(p[1] for p in pairs):.0f} steps/s")  # fmt: skip
    print(f"ratio {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
