"""Flow matching: learn the field of a continuous flow by regression, with no solver in training.

Lipman et al. (2023), arXiv:2210.02747, eqs. 20-23; straight ways: Liu, Gong and Liu (2023),
arXiv:2209.03003; round ones: Albergo and Vanden-Eijnden (2023), arXiv:2209.15571. Needs torch only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def straight_way(x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(1 - t) x0 + t x1, and its velocity x1 - x0."""
    return (1 - t) * x0 + t * x1, x1 - x0


def round_way(x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """cos(a) x0 + sin(a) x1 with a = t pi / 2, and its velocity.

    Between two standard normals that know nothing of each other, the mean velocity is zero
    everywhere: what is normal already is left alone.
    """
    a = 0.5 * math.pi * t
    return a.cos() * x0 + a.sin() * x1, 0.5 * math.pi * (a.cos() * x1 - a.sin() * x0)


class FlowMatching(nn.Module):
    """The loss |f(t, x_t) - v_t|^2 for a continuous flow; all else is the flow's own.

    x_0 is a draw of the base, x_1 an example as the field sees it, x_t a place on the way between
    them at a uniform time t, and v_t the velocity there. The best field is the mean velocity of all
    ways through (t, x_t); its flow carries the base to the data. The least loss is not zero, and no
    likelihood.

    Parameters
    ----------
    model : nn.Module
        `FFJORD`, or `Dequantize` around one: `log_prob` or `elbo` are its own.
    way : callable
        ``way(x0, x1, t) -> (x_t, v_t)``: `straight_way`, `round_way`.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Reals
    >>> flow = zoo.get("ffjord").build(Reals((2,)), width=8)
    >>> FlowMatching(flow).loss(torch.randn(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, model: nn.Module, way: Callable = straight_way):
        super().__init__()
        self.model, self.way, self.data = model, way, model.data

    def _ends(self, x: Tensor) -> tuple[nn.Module, Tensor]:
        """The continuous flow, and x as its field sees it at t = 1, dequantised if integers."""
        if hasattr(self.model, "dequantize"):
            flow, x = self.model.flow, self.model.dequantize(x)[0]
        else:
            flow, x = self.model, self.data.check(x, trusted=self.training)
        return flow, flow.prepare(x)[0].detach()

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the velocity at one random time and start for each example (B,)."""
        flow, x1 = self._ends(x)
        x0 = flow.base.sample(len(x1)).to(x1.dtype)
        t = torch.rand(len(x1), *[1] * (x1.dim() - 1), dtype=x1.dtype, device=x1.device)
        x_t, velocity = self.way(x0, x1, t)
        return (flow.ode.field(t, x_t) - velocity).square().flatten(1).sum(1)
