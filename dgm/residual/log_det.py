"""log|det(I + J)| of a residual block: exact, or by a power series of traces that are estimated.

Series: Behrmann et al. (2019), i-ResNet, arXiv:1811.00995, eqs. 3-5; Hutchinson (1990),
doi:10.1080/03610919008812866. Roulette and Neumann gradient: Chen et al. (2019), Residual flows,
arXiv:1906.02735, eqs. 6-9. Needs torch only.

All are called as ``log_det(x, g, graph)`` with g = net(x), x the leaf of g's graph or a part of it.
"""

import torch
from torch import Tensor, nn


def jacobian_rows(x: Tensor, g: Tensor, graph: bool) -> Tensor:
    """dg/dx of every example, (B, D, D): D vector-Jacobian products in one batched call."""
    size, dims = len(x), x[0].numel()
    rows = torch.eye(dims, dtype=x.dtype, device=x.device).view(dims, 1, *x.shape[1:])
    rows = rows.expand(dims, *x.shape)
    (found,) = torch.autograd.grad(g, x, rows, is_grads_batched=True, create_graph=graph)
    return found.reshape(dims, size, dims).transpose(0, 1)


class DenseLogDet(nn.Module):
    """Exact, by the dense Jacobian: D products with the Jacobian and a D x D determinant each."""

    def forward(self, x: Tensor, g: Tensor, graph: bool) -> Tensor:
        """x, g (B, ...) -> log|det(I + dg/dx)| (B,), nats."""
        jacobian = jacobian_rows(x, g, graph)
        eye = torch.eye(jacobian.shape[-1], dtype=x.dtype, device=x.device)
        return torch.linalg.slogdet(eye + jacobian).logabsdet


class SeriesLogDet(nn.Module):
    """sum over k of (-1)^(k+1) / k * weight_k * v^T J^k v, with random signs v.

    Parameters
    ----------
    n_terms : object with ``weights() -> list`` (n_terms.py)
        Fixed: biased. Roulette: its mean over v and N is the log-determinant.
    neumann : bool
        The gradient by the Neumann series: terms are computed without a graph, their weighted sum
        is one vector, and only the last product keeps a graph. Memory does not grow with the
        number of terms. False: through all products. The *mean* gradient is the same.
    """

    def __init__(self, n_terms: object, neumann: bool = True):
        super().__init__()
        self.n_terms, self.neumann = n_terms, neumann

    def forward(self, x: Tensor, g: Tensor, graph: bool) -> Tensor:
        """x, g (B, ...) -> estimate of log|det(I + dg/dx)| (B,), nats."""
        v = torch.randint_like(x, 2) * 2 - 1
        weights = self.n_terms.weights()
        if not weights:
            return x.new_zeros(len(x))
        if graph and self.neumann:
            return self._by_neumann(x, g, v, weights)
        return self._by_series(x, g, v, weights, graph)

    def _by_series(
        self, x: Tensor, g: Tensor, v: Tensor, weights: list[float], graph: bool
    ) -> Tensor:
        """Every product part of the graph, if there is one."""
        total, w = x.new_zeros(len(x)), v
        for k, weight in enumerate(weights, start=1):
            (w,) = torch.autograd.grad(g, x, w, retain_graph=True, create_graph=graph)
            trace = (w * v).flatten(1).sum(1)  # v^T J^k v
            total = total + (-1) ** (k + 1) * weight / k * trace
        return total

    def _by_neumann(self, x: Tensor, g: Tensor, v: Tensor, weights: list[float]) -> Tensor:
        """The value of the series, the gradient of sum (-1)^k weight_(k+1) (v^T J^k) dJ v."""
        # the left vector, without a graph
        w, left, value = v, weights[0] * v, x.new_zeros(len(x))
        for k, weight in enumerate(weights[1:], start=1):
            (w,) = torch.autograd.grad(g, x, w, retain_graph=True)
            left = left + (-1) ** k * weight * w
            # its term in the series, less what `slope` below says of it
            term = (-1) ** (k + 1) * weights[k - 1] * (w * v).flatten(1).sum(1)
            value = value + (1 / k - 1 / len(weights)) * term
        # one product with a graph; its value holds every term k times, the last is needed 1/n times
        (last,) = torch.autograd.grad(g, x, left, create_graph=True)
        slope = (last * v).flatten(1).sum(1)
        return value + slope.detach() / len(weights) + slope - slope.detach()
