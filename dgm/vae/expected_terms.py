"""Means under a Gaussian q(z|x) by quadrature, exact where draws would only estimate.

Gauss-Hermite nodes from the eigenvalues of a tridiagonal matrix: Golub and Welsch (1969),
doi:10.1090/S0025-5718-69-99647-1. Needs torch only.
"""

import torch
from torch import Tensor


def normal_nodes(dim: int, n: int) -> tuple[Tensor, Tensor]:
    """Nodes (n^dim, dim) and weights (n^dim,) for means under N(0, I), float64.

    Exact for polynomials of degree up to 2 n - 1 in every coordinate.

    >>> nodes, weights = normal_nodes(1, 5)
    >>> (weights * nodes[:, 0] ** 4).sum().round(decimals=9)  # the fourth moment
    tensor(3., dtype=torch.float64)
    """
    if dim < 1 or n < 1 or n**dim > 10**6:
        raise ValueError(f"dim and n must be at least 1, n^dim at most 1e6; got {dim} and {n}")
    step = torch.arange(1, n, dtype=torch.float64).sqrt()  # of the Hermite recursion
    values, vectors = torch.linalg.eigh(step.diag(1) + step.diag(-1))
    nodes = torch.cartesian_prod(*[values] * dim).reshape(-1, dim)
    weights = torch.cartesian_prod(*[vectors[0].square()] * dim).reshape(-1, dim).prod(1)
    return nodes, weights


@torch.no_grad()
def expected_terms(model, x: Tensor, n: int = 24) -> dict[str, Tensor]:
    """E_q of log p(x|z), log p(z) and log q(z|x) for every x, (B,) nats each.

    ``model`` is a VAE whose ``posterior(x)`` is Gaussian with ``mean`` and ``stddev`` (B, d); n^d
    nodes, so d must be small.
    """
    q = model.posterior(x)
    eps, weights = (t.to(q.mean) for t in normal_nodes(q.mean.shape[1], n))
    z = q.mean + q.stddev * eps[:, None]  # (n^d, B, d)
    rows, many = z.flatten(0, 1), x.repeat(len(eps), *[1] * (x.ndim - 1))
    values = {
        "log_likelihood": model.likelihood(rows).log_prob(many).view(-1, len(x)),
        "log_prior": model.prior.log_prob(rows).view(-1, len(x)),
        "log_posterior": q.log_prob(z),
    }
    return {name: weights @ value for name, value in values.items()}
