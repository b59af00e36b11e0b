"""The divergence of a field f(t, z), tr df/dz: exact, or estimated with one noise for a solve.

Hutchinson (1990), doi:10.1080/03610919008812866; Grathwohl, Chen, Bettencourt, Sutskever and
Duvenaud (2019), FFJORD, arXiv:1810.01367, section 3.1. Needs torch only.
"""

import torch
from torch import Tensor, nn


class ExactTrace(nn.Module):
    """tr df/dz exactly: by the field's own formula where it has one, else D backward passes.

    A field with a formula offers ``with_trace(t, z) -> (v, trace (B,))``.

    Examples
    --------
    >>> velocity, trace = ExactTrace()(lambda t, z: z * z, 0.0, torch.tensor([[1.0, 3.0]]), None)
    >>> trace.item()
    8.0
    """

    def noise(self, z: Tensor) -> None:
        """Nothing is drawn."""

    def forward(self, field: nn.Module, t: Tensor, z: Tensor, noise: None) -> tuple[Tensor, Tensor]:
        """z (B, *shape) -> velocity like z and its divergence (B,)."""
        if hasattr(field, "with_trace"):
            return field.with_trace(t, z)
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            velocity = field(t, z)
            flat, trace = velocity.flatten(1), 0.0
            for d in range(flat.shape[1]):
                (row,) = torch.autograd.grad(
                    flat[:, d].sum(), z, create_graph=graph, retain_graph=True
                )
                trace = trace + row.flatten(1)[:, d]
        return (velocity, trace) if graph else (velocity.detach(), trace.detach())


class HutchinsonTrace(nn.Module):
    """e . (df/dz) e, whose mean over e is the trace: one backward pass, whatever D.

    e is drawn once for a solve (`noise`) and held: the solver then sees a smooth equation, and the
    integral is still unbiased. ``n`` noises are averaged, each a backward pass.

    Examples
    --------
    >>> trace, z = HutchinsonTrace(), torch.tensor([[1.0, 3.0]])
    >>> trace(lambda t, z: z * z, 0.0, z, trace.noise(z))[1].item()  # of a diagonal matrix: exact
    8.0
    """

    def __init__(self, n: int = 1):
        super().__init__()
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.n = n

    def noise(self, z: Tensor) -> Tensor:
        """Signs (n, B, *shape), each +1 or -1 with probability a half (Rademacher)."""
        return torch.rand(self.n, *z.shape, dtype=z.dtype, device=z.device).round() * 2 - 1

    def forward(
        self, field: nn.Module, t: Tensor, z: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """z (B, *shape) -> velocity like z and the estimate of its divergence (B,)."""
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            velocity, trace = field(t, z), 0.0
            for e in noise:
                (row,) = torch.autograd.grad(velocity, z, e, create_graph=graph, retain_graph=True)
                trace = trace + (row * e).flatten(1).sum(1) / len(noise)
        return (velocity, trace) if graph else (velocity.detach(), trace.detach())
