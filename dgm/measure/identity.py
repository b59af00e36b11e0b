"""Does it copy? Pictures that a copier gives back and a model of the data cannot.

Every pixel of a chimera comes from a different example, at its own place: the marginal of each
pixel stays exactly as it was, and whatever connects them is gone. A test of independence by
permuted columns, as in Breiman (2001), doi:10.1023/A:1010933404324, section 10. Needs torch only.
"""

import torch
from torch import Tensor, nn


def chimera(x: Tensor, seed: int = 0) -> Tensor:
    """x (N, ...) with the values of each place shuffled over the N examples, independently.

    Raises
    ------
    ValueError : fewer than two examples, between which nothing can be exchanged.
    """
    if len(x) < 2:
        raise ValueError(f"x needs at least 2 examples to mix, got {len(x)}")
    generator = torch.Generator().manual_seed(seed)
    donor = torch.rand(len(x), x[0].numel(), generator=generator).argsort(0).to(x.device)
    return x.flatten(1).gather(0, donor).view_as(x)


@torch.no_grad()
def unexplained(model: nn.Module, x: Tensor, mean: Tensor) -> float:
    """Squared error of model(x) over that of always answering ``mean``, both summed over x.

    0 for a perfect copy, 1 for the mean itself; no unit. ``mean`` has the shape of one example:
    take that of the training data.
    """
    if x.shape[1:] != mean.shape:
        raise ValueError(f"mean has shape {tuple(mean.shape)}, x holds {tuple(x.shape[1:])}")
    return ((model(x) - x).square().sum() / (x - mean).square().sum()).item()
