"""A classifier whose features are what pictures are compared by.

The idea of the FID, Heusel et al. (2017), arXiv:1706.08500, with a network of one's own: figures of
different judges cannot be compared. Needs torch only.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Judge(nn.Module):
    """Pictures of levels -> features -> logits of the classes.

    Parameters
    ----------
    data : `Levels`, what pictures are; they reach the network in 0 .. 1.
    net : (B, *shape) -> (B, width), the features.
    width : of the features. classes : how many there are.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> judge = Judge(Levels((1, 2, 2), 17), net, 3)
    >>> judge.loss(torch.zeros(5, 1, 2, 2).int(), torch.ones(5).int()).shape
    torch.Size([5])
    """

    def __init__(self, data: Any, net: nn.Module, width: int, classes: int = 10):
        super().__init__()
        self.data, self.net = data, net
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(width, classes))

    def features(self, x: Tensor) -> Tensor:
        """x (B, *shape) as stored -> (B, width)."""
        return self.net(self.data.scaled(self.data.check(x, trusted=True), 0.0, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, *shape) as stored -> logits (B, classes)."""
        return self.head(self.features(x))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of the labels y (B,), (B,) nats."""
        return nn.functional.cross_entropy(self(x), y.long(), reduction="none")

    @torch.no_grad()
    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Share of pictures whose class is seen."""
        said = torch.cat([self(part).argmax(1) for part in x.split(1000)])
        return (said == y).double().mean().item()
