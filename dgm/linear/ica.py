"""Independent component analysis: undo a mixing matrix by making the outputs independent.

Comon (1994), doi:10.1016/0165-1684(94)90029-9; as maximum likelihood: Bell & Sejnowski (1995),
doi:10.1162/neco.1995.7.6.1129, with the natural gradient of Amari, Cichocki & Yang (1996). FastICA:
Hyvarinen & Oja (2000), doi:10.1016/S0893-6080(00)00026-5, section 6. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


def whitening(x: Tensor) -> Tensor:
    """The matrix (D, D) that makes the centred rows of x (N, D) uncorrelated with variance 1.

    Raises
    ------
    ValueError
        x is not (N > 1, D) finite floats, or has a flat direction.
    """
    if x.ndim != 2 or len(x) < 2 or not x.is_floating_point() or not torch.isfinite(x).all():
        raise ValueError(f"x must be finite floats (N > 1, D), got {x.dtype} {tuple(x.shape)}")
    _, singular, directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    if len(singular) < x.shape[1] or singular[-1] <= 1e-6 * singular[0]:
        raise ValueError("x has a flat direction: there are fewer sources than columns")
    return math.sqrt(len(x)) / singular[:, None] * directions


def nearest_rotation(w: Tensor) -> Tensor:
    """The orthogonal matrix nearest to w (D, D): (w w^T)^(-1/2) w."""
    left, _, right = torch.linalg.svd(w)
    return left @ right


@torch.no_grad()
def fastica(
    x: Tensor, max_iter: int = 200, tol: float = 1e-8, generator: torch.Generator | None = None
) -> Tensor:
    """Unmixing matrix W (D, D) of the rows of x (N, D): sources are (x - mean) W^T, variance 1.

    Each row of the rotation moves to E[v g(w.v)] - E[g'(w.v)] w with g = tanh on white v, a Newton
    step towards the least Gaussian direction; then all rows are made orthogonal at once. After
    ``max_iter`` steps the last rotation is returned, converged or not: Gaussian data never settle.

    Raises
    ------
    ValueError
        x is not (N > 1, D) finite floats, or has a flat direction.
    """
    white = whitening(x)
    v = (x - x.mean(0)) @ white.T
    w = nearest_rotation(torch.empty_like(white).normal_(generator=generator))
    for _ in range(max_iter):
        g = torch.tanh(v @ w.T)  # (N, D)
        new = nearest_rotation(g.T @ v / len(v) - (1 - g.square()).mean(0)[:, None] * w)
        turned = 1 - (new * w).sum(1).abs().min()  # up to sign, 0 when no row moves
        w = new
        if turned < tol:
            break
    return w @ white


class SechSources(nn.Module):
    """Independent sources with density 1 / (pi cosh z): a peak, tails like Laplace's, and smooth.

    The derivative of its log is -tanh, the contrast of `fastica`.
    """

    def __init__(self, dim: int):
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.dim = dim
        self.register_buffer("origin", torch.zeros(dim), persistent=False)  # device and dtype

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, dim) -> exact log density (B,) nats."""
        log_cosh = torch.logaddexp(z, -z) - math.log(2)
        return -(log_cosh + math.log(math.pi)).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, dim), by the inverse of the CDF (2 / pi) atan(e^z).

        The generator lives on the device of the module.
        """
        uniform = self.origin.new_empty(n, self.dim).uniform_(1e-7, 1 - 1e-7, generator=generator)
        return torch.tan(0.5 * math.pi * uniform).log()


class ICA(nn.Module):
    """z = W (x - mean) with independent sources z: a flow of one linear layer, exact density.

    log p(x) = sum_j log p_j(w_j . (x - mean)) + log|det W| for x (B, D).

    Parameters
    ----------
    data : Reals (support.py)
        Points (D,): ``shape``, ``check(x)``, ``finite(z)``, ``count(n)``.
    sources : nn.Module, optional
        With ``log_prob(z) -> (B,)`` and ``sample(n, generator=None)``; `SechSources` if None. With
        Gaussian ones every rotation of W is equally good.

    Notes
    -----
    Own methods: ``natural_gradient_step``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model = ICA(Reals((2,)))
    >>> model.log_prob(torch.zeros(1, 2))  # -2 log pi
    tensor([-2.2895], grad_fn=<AddBackward0>)
    """

    def __init__(self, data: object, sources: nn.Module | None = None):
        super().__init__()
        if len(data.shape) != 1:
            raise ValueError(f"data must be points (D,), got shape {data.shape}")
        dim = data.dims
        self.data = data
        self.sources = SechSources(dim) if sources is None else sources
        self.mean = nn.Parameter(torch.zeros(dim))
        self.weight = nn.Parameter(torch.eye(dim))  # W, the unmixing matrix

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Start at the mean of x (N, D) and at white outputs."""
        x = self.data.check(x)
        self.mean.copy_(x.mean(0))
        self.weight.copy_(whitening(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> sources (B, D) and log|det W| (B,), nats."""
        x = self.data.check(x, trusted=self.training)
        return (x - self.mean) @ self.weight.T, self.weight.slogdet()[1].expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Sources (B, D) -> x (B, D): mixed again."""
        return torch.linalg.solve(self.weight, self.data.check(z, "z").T).T + self.mean

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density (B,) nats."""
        z, log_det = self(x)
        return self.sources.log_prob(z) + log_det

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, D). The generator lives on the model's device."""
        z = self.sources.sample(self.data.count(n), generator=generator)
        return self.inverse(z) if n else z

    def natural_gradient_step(self, x: Tensor, rate: float = 0.2) -> float:
        """Move W by rate (I + E[psi(z) z^T]) W, psi = d log p / dz; the mean nats before the step.

        The gradient times W^T W: no inverse of W, and progress that does not depend on the mixing.
        """
        nats = self.loss(x).mean()
        (gradient,) = torch.autograd.grad(nats, self.weight)
        with torch.no_grad():
            self.weight -= rate * gradient @ self.weight.T @ self.weight
        return nats.item()
