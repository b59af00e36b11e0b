"""Sylvester flows: a planar flow with many units whose determinant stays a product of d numbers.

van den Berg, Hasenclever, Tomczak and Welling (2018), arXiv:1803.05649, section 3 and
theorems 1-2. Needs torch only.
"""

import torch
from torch import Tensor, nn


def sylvester_step(
    z: Tensor, basis: Tensor, r: Tensor, r_tilde: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """z + Q R tanh(R~ Q^T z + b) and its log-determinant (B,), nats, exact.

    Parameters
    ----------
    z : Tensor
        (B, d).
    basis : Tensor
        Q (B, d, M), orthonormal columns.
    r, r_tilde : Tensor
        R and R~ (B, M, M), upper triangular.
    shift : Tensor
        b (B, M).

    Raises
    ------
    ValueError
        R or R~ is not upper triangular, or some r_ii r~_ii <= -1: as the slope of tanh is at most
        1, a product above -1 is what makes the map one to one (theorem 2).
    """
    for name, matrix in (("r", r), ("r_tilde", r_tilde)):
        if torch.any(matrix.tril(-1) != 0):
            raise ValueError(f"{name} must be upper triangular, and has entries below its diagonal")
    diagonal = r.diagonal(dim1=1, dim2=2) * r_tilde.diagonal(dim1=1, dim2=2)  # (B, M)
    if not torch.all(diagonal > -1):
        raise ValueError(
            "r and r_tilde break invertibility: every r_ii * r_tilde_ii must be above -1 (minus "
            f"one over the largest slope of tanh), got {diagonal.min().item():.4g}"
        )
    inner = (r_tilde @ (basis.mT @ z[:, :, None]))[:, :, 0] + shift  # (B, M)
    a = torch.tanh(inner)
    moved = z + (basis @ (r @ a[:, :, None]))[:, :, 0]
    return moved, torch.log1p((1 - a.square()) * diagonal).sum(1)


def orthogonalise(q: Tensor, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    """The nearest matrices with orthonormal columns to q (B, d, M), by Bjorck's iteration.

    Q <- Q (I + (I - Q^T Q) / 2); converges where all singular values of the start lie
    between 0 and sqrt(3), so q is scaled to a Frobenius norm of sqrt(2) first. Stops one step
    after |Q^T Q - I| fell below ``tol``, or what rounding leaves of it; as the error is squared
    every step, tol^2 is left.

    Raises
    ------
    ValueError
        Not converged after ``max_iter`` steps (q has dependent columns, or M > d).
    """
    eye = torch.eye(q.shape[2], dtype=q.dtype, device=q.device)
    tol = max(tol, 4 * q.shape[2] * torch.finfo(q.dtype).eps)
    q = 2**0.5 * q / q.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
    for _ in range(max_iter):
        rest = eye - q.mT @ q  # (B, M, M)
        q = q + 0.5 * q @ rest
        if rest.detach().flatten(1).norm(dim=1).max() < tol:
            return q
    raise ValueError(f"q has dependent columns: not orthogonal to {tol} in {max_iter} steps")


class OrthogonalBasis(nn.Module):
    """O-SNF: Q (B, dim, n_vectors) from any matrix, made orthogonal by iteration.

    ``net`` maps the context (B, C) to (B, dim * n_vectors). The identity is added to its output,
    which keeps the columns independent when training starts.
    """

    def __init__(self, net: nn.Module, dim: int, n_vectors: int):
        super().__init__()
        if not 1 <= n_vectors <= dim:
            raise ValueError(f"n_vectors must lie in 1 .. dim = {dim}, got {n_vectors}")
        self.net, self.dim, self.n_vectors = net, dim, n_vectors

    def forward(self, context: Tensor) -> Tensor:
        """Context (B, C) -> Q (B, dim, n_vectors), Q^T Q = I."""
        q = self.net(context).view(-1, self.dim, self.n_vectors)
        return orthogonalise(q + torch.eye(self.dim, self.n_vectors, dtype=q.dtype).to(q.device))


class HouseholderBasis(nn.Module):
    """H-SNF: Q (B, dim, dim), a product of n_reflections reflections.

    ``net`` maps the context (B, C) to (B, n_reflections * dim).
    """

    def __init__(self, net: nn.Module, dim: int, n_reflections: int):
        super().__init__()
        if n_reflections < 1:
            raise ValueError(f"n_reflections must be at least 1, got {n_reflections}")
        self.net, self.dim, self.n_reflections = net, dim, n_reflections

    def forward(self, context: Tensor) -> Tensor:
        """Context (B, C) -> Q (B, dim, dim), Q^T Q = I."""
        v = self.net(context).view(-1, self.n_reflections, self.dim)
        v = v / v.norm(dim=2, keepdim=True).clamp_min(1e-12)
        q = torch.eye(self.dim, dtype=v.dtype, device=v.device).expand(len(v), -1, -1)
        for t in range(self.n_reflections):
            q = q - 2 * (q @ v[:, t, :, None]) * v[:, t, None, :]
        return q


class ReversalBasis(nn.Module):
    """T-SNF: Q the identity, or the reversal of all coordinates; layers take turns.

    Raises ValueError for dim below 1.
    """

    def __init__(self, dim: int, reverse: bool):
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        eye = torch.eye(dim)
        self.register_buffer("matrix", eye.flip(0) if reverse else eye, persistent=False)

    def forward(self, context: Tensor) -> Tensor:
        """Context (B, C) -> Q (B, dim, dim)."""
        return self.matrix.expand(len(context), -1, -1)


class Sylvester(nn.Module):
    """One Sylvester layer, `sylvester_step`, with all its parameters given by the context.

    Parameters
    ----------
    net : nn.Module
        Maps the context (B, C) to (B, M * (M + 2)): both strict triangles, both diagonals, b.
    basis : nn.Module
        Maps the context to Q (B, d, M); `OrthogonalBasis`, `HouseholderBasis`, `ReversalBasis`.
    n_vectors : int
        M, the number of columns of Q.

    Note: the diagonals are squashed into (-0.999, 0.999), so r_ii r~_ii > -1 always holds.

    Examples
    --------
    >>> layer = Sylvester(nn.Linear(3, 8), ReversalBasis(2, reverse=True), 2)
    >>> z, log_det = layer(torch.ones(4, 2), torch.randn(4, 3))
    """

    def __init__(self, net: nn.Module, basis: nn.Module, n_vectors: int):
        super().__init__()
        if n_vectors < 1:
            raise ValueError(f"n_vectors must be at least 1, got {n_vectors}")
        self.net, self.basis, self.n_vectors = net, basis, n_vectors

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, d), context (B, C) -> z' (B, d) and log|det dz'/dz| (B,), nats, exact."""
        m = self.n_vectors
        free, diagonals, shift = self.net(context).split((m * (m - 1), 2 * m, m), dim=1)
        strict = torch.ones(m, m, dtype=torch.bool, device=z.device).triu(1)
        triangles = z.new_zeros(len(z), 2, m, m)
        triangles[:, :, strict] = free.view(len(z), 2, -1)
        diagonals = 0.999 * torch.tanh(diagonals.view(len(z), 2, m))
        r, r_tilde = (triangles + torch.diag_embed(diagonals)).unbind(1)
        return sylvester_step(z, self.basis(context), r, r_tilde, shift)
