"""A residual block that can be undone: x + g(x), where g shrinks distances.

Behrmann et al. (2019), i-ResNet, arXiv:1811.00995, theorem 1 and algorithm 1. Needs torch only.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


class NotContracting(RuntimeError):  # noqa: N818, a name readers catch
    """The fixed-point iteration did not reach the tolerance."""


class ResidualBlock(nn.Module):
    """z = x + g(x); x is the fixed point of x -> z - g(x).

    If g has the Lipschitz constant L < 1 there is exactly one x, and after n steps from z the error
    is at most L^n / (1 - L) |x_1 - z|.

    Parameters
    ----------
    net : nn.Module
        g, of Lipschitz constant below 1: (B, ...) -> the same shape.
    log_det : nn.Module
        ``(x, g, graph) -> (B,)`` (log_det.py), in training.
    log_det_eval : nn.Module, optional
        The same in eval mode; ``log_det`` where left out.
    held : callable, optional
        ``held(net)``, a context in which g is evaluated many times (spectral.py).

    Examples
    --------
    >>> from dgm.residual.log_det import DenseLogDet
    >>> net = nn.Linear(2, 2, bias=False)
    >>> nn.init.constant_(net.weight, 0.25)
    Parameter containing:
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]], requires_grad=True)
    >>> z, log_det = ResidualBlock(net, DenseLogDet())(torch.ones(1, 2))
    >>> z, log_det.exp()  # det [[1.25, 0.25], [0.25, 1.25]] = 1.5
    (tensor([[1.5000, 1.5000]], grad_fn=<AddBackward0>), tensor([1.5000], grad_fn=<ExpBackward0>))
    """

    def __init__(
        self,
        net: nn.Module,
        log_det: nn.Module,
        log_det_eval: nn.Module | None = None,
        held: Callable[[nn.Module], AbstractContextManager] = nullcontext,
    ):
        super().__init__()
        self.net, self.log_det, self.held = net, log_det, held
        self.log_det_eval = log_det if log_det_eval is None else log_det_eval

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z (B, ...) and log|det dz/dx| (B,), nats, or its estimate."""
        graph = torch.is_grad_enabled()
        with torch.enable_grad():  # products with the Jacobian need one even where no gradient is
            x = x if x.requires_grad else x.detach().requires_grad_()
            g = self.net(x)
            how = self.log_det if self.training else self.log_det_eval
            log_det = how(x, g, graph)
        z = x + g
        return (z, log_det) if graph else (z.detach(), log_det.detach())

    @torch.no_grad()
    def inverse(self, z: Tensor, tol: float | None = None, max_iter: int = 500) -> Tensor:
        """z (B, ...) -> x (B, ...): x <- z - g(x) until it moves by less than ``tol``.

        ``tol`` is relative to 1 + |x|; None: 64 units of precision.

        Raises
        ------
        NotContracting
            It still moved by more after ``max_iter`` steps, or to infinity; with the numbers.
        """
        tol = 64 * torch.finfo(z.dtype).eps if tol is None else tol
        x, moved, steps = z, 0.0, 0
        with self.held(self.net):
            while steps < max_iter:
                before, x, steps = x, z - self.net(x), steps + 1
                moved = ((x - before).abs() / (1 + x.abs())).max().item() if len(x) else 0.0
                if moved <= tol:
                    return x
                if not moved < 1e30:
                    break
        raise NotContracting(
            f"the inverse did not converge: after {steps} steps x still moves by {moved:.2g}, "
            f"more than {tol:.2g}; is the Lipschitz constant of the net below 1?"
        )
