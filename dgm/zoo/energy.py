"""Systems known up to their volume, or with a volume that can be summed."""

import torch
from torch import Tensor, nn

from dgm.energy.quadrature import QuadratureDensity
from dgm.nets.mlp import MLP
from dgm.zoo.entry import Entry


def grid_energy(
    shape: tuple[int, ...],
    levels: None = None,
    reach: float = 8.0,
    width: int = 64,
    n_cells: int = 64,
) -> nn.Module:
    """exp of a small perceptron over the box [-reach, reach]^D, D = 1 or 2, real values only."""
    if levels is not None or len(shape) != 1:
        raise ValueError(f"shape must be (1,) or (2,) with levels None, got {shape}, {levels}")
    net = MLP(shape[0], 1, hidden=(width, width))
    return QuadratureDensity(net, [(-reach, reach)] * shape[0], n=n_cells)


def _tiny(seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A density on a box in the plane, from a perceptron of width 8."""
    generator = torch.Generator().manual_seed(seed)
    model = grid_energy((2,), reach=2.0, width=8, n_cells=96)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return model, torch.randn(16, 2, generator=generator).clamp(-1.9, 1.9)


ENTRIES = (
    Entry(
        name="grid_energy",
        title="A network normalised on a grid",
        family="energy",
        build=grid_energy,
        files=("energy/quadrature.py", "nets/mlp.py"),
        chapter="01_joint_and_likelihood",
        rows=("F6", "F7"),
        paper="LeCun et al. (2006), A tutorial on energy-based learning",
        url="http://yann.lecun.com/exdb/publis/pdf/lecun-06.pdf",
        branch=("explicit", "unnormalised", "energy"),
        tiny=_tiny,
    ),
)
