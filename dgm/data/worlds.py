"""Exact worlds: laws so small that p, Z, entropies and posteriors are computed, not estimated.

Every likelihood, bound and sampler of the book can be held against them.
"""

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from dgm.data import toy
from dgm.data.dataset import Dataset, check_at_least, check_positive, from_law

MAX_STATES = 2**20


def all_states(levels: int, shape: tuple[int, ...]) -> Tensor:
    """Every array of this shape with entries 0 .. levels-1: (levels**D, *shape) uint8, in order.

    State number i is i written in base `levels`, the first entry being the leading digit.
    """
    dims = math.prod(shape)
    if levels**dims > MAX_STATES:
        raise ValueError(f"{levels}**{dims} states are more than the {MAX_STATES} allowed")
    powers = levels ** torch.arange(dims - 1, -1, -1)
    numbers = torch.arange(levels**dims)
    return (numbers[:, None] // powers % levels).to(torch.uint8).reshape(-1, *shape)


class FiniteLaw:
    """Any law over all arrays of a small shape, given by one log weight for each.

    Parameters
    ----------
    log_weights : Tensor
        (levels**D,), need not be normalised; in the order of `all_states`.
    shape, levels
        Of the states.
    """

    def __init__(self, log_weights: Tensor, shape: tuple[int, ...], levels: int):
        self.shape, self.levels = shape, levels
        self.states = all_states(levels, shape)
        if log_weights.shape != (len(self.states),):
            raise ValueError(
                f"log_weights must have shape ({len(self.states)},), got {tuple(log_weights.shape)}"
            )
        self.log_z = float(log_weights.double().logsumexp(0))
        self.log_p = log_weights.double() - self.log_z  # (S,) nats, of every state

    def index(self, x: Tensor) -> Tensor:
        """States (B, *shape) of an integer type -> their numbers (B,) in `states`."""
        if x.shape[1:] != self.shape or x.is_floating_point():
            raise ValueError(
                f"x must be integers (B, *{self.shape}), got {x.dtype} {tuple(x.shape)}"
            )
        digits = x.flatten(1).long()  # (B, D)
        if x.numel() and not 0 <= digits.min() <= digits.max() < self.levels:
            raise ValueError(
                f"x must be in 0 .. {self.levels - 1}, got {digits.min()} .. {digits.max()}"
            )
        dims = digits.shape[1]
        return digits @ self.levels ** torch.arange(dims - 1, -1, -1, device=x.device)

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, *shape) integers -> (B,) float64 nats, exact."""
        return self.log_p.to(x.device)[self.index(x)]

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """States (n, *shape) uint8; there are no labels."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        number = torch.searchsorted(self.log_p.exp().cumsum(0), u).clamp(max=len(self.log_p) - 1)
        return self.states[number], None

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """States (n, *shape) uint8."""
        return self.draw(n, generator)[0]

    def entropy(self) -> float:
        """Nats, exact."""
        return float(torch.special.entr(self.log_p.exp()).sum())


class LinearGaussianLaw:
    """x = W z + b + noise with z and the noise Gaussian: log p(x) and p(z | x) in closed form.

    Tipping and Bishop (1999), probabilistic PCA.

    Parameters
    ----------
    weight : Tensor
        W, (D, K).
    bias : Tensor
        b, (D,).
    noise : float
        Standard deviation of the noise in each coordinate of x.
    """

    def __init__(self, weight: Tensor, bias: Tensor, noise: float):
        check_positive("noise", noise)
        self.weight, self.bias, self.noise = weight.double(), bias.double(), noise

    def marginal(self) -> MultivariateNormal:
        """p(x), float64: mean b, covariance W W^T + noise^2 I."""
        eye = torch.eye(len(self.bias), dtype=torch.float64)
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + self.noise**2 * eye)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z | x) for x (B, D): batch (B,), event (K,), float64."""
        eye = torch.eye(self.weight.shape[1], dtype=torch.float64)
        precision = eye + self.weight.T @ self.weight / self.noise**2
        projected = (x.double() - self.bias) @ self.weight / self.noise**2  # (B, K)
        mean = torch.linalg.solve(precision, projected, left=False)  # precision is symmetric
        return MultivariateNormal(mean, precision_matrix=precision.expand(len(x), -1, -1))

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, D) -> (B,) nats, exact."""
        if x.ndim != 2 or x.shape[1] != len(self.bias) or not x.is_floating_point():
            raise ValueError(
                f"x must be floating point (B, {len(self.bias)}), got {x.dtype} {tuple(x.shape)}"
            )
        return self.marginal().log_prob(x.double().cpu()).to(x)

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Points (n, D) float32; there are no labels."""
        dims, latent_dim = self.weight.shape
        z = torch.randn(n, latent_dim, generator=generator, dtype=torch.float64)
        eps = torch.randn(n, dims, generator=generator, dtype=torch.float64)
        return (z @ self.weight.T + self.bias + self.noise * eps).float(), None

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Points (n, D) float32."""
        return self.draw(n, generator)[0]

    def entropy(self) -> float:
        """Nats, closed form."""
        return float(self.marginal().entropy())


def _check_side(side: int) -> None:
    if side not in (2, 3, 4):
        raise ValueError(f"side must be 2, 3 or 4, got {side!r}")


def bars(n: int = 5_000, side: int = 3, flip: float = 0.05, seed: int = 0) -> Dataset:
    """Binary images of bars: all columns or all rows on or off, each pixel flipped with `flip`.

    Side 3 has 512 states, side 4 has 65,536. Half of the images are vertical, half horizontal.
    """
    _check_side(side)
    if not 0 < flip < 1:
        raise ValueError(f"flip must be between 0 and 1, got {flip!r}")
    columns = all_states(2, (side,))[:, None, :].expand(-1, side, -1)
    patterns = torch.cat((columns, columns.transpose(1, 2))).flatten(1).double()  # (P, D)
    x = all_states(2, (side * side,)).double()  # (S, D)
    flips = x @ (1 - patterns).T + (1 - x) @ patterns.T  # (S, P) pixels that differ
    log_weights = flips * math.log(flip) + (side * side - flips) * math.log(1 - flip)
    law = FiniteLaw(log_weights.logsumexp(1), (1, side, side), 2)
    return from_law("bars", law, n, seed, levels=2)


def ising(n: int = 5_000, side: int = 3, coupling: float = 0.4, seed: int = 0) -> Dataset:
    """Binary images of an Ising magnet: log p = coupling * sum of s s' over neighbours - log Z.

    s = 2 x - 1, free borders. `law.log_z` is the exact log Z.
    """
    _check_side(side)
    if not isinstance(coupling, int | float) or not math.isfinite(coupling):
        raise ValueError(f"coupling must be a finite number, got {coupling!r}")
    s = 2 * all_states(2, (side, side)).double() - 1
    bonds = (s[:, 1:] * s[:, :-1]).sum((1, 2)) + (s[:, :, 1:] * s[:, :, :-1]).sum((1, 2))
    return from_law("ising", FiniteLaw(coupling * bonds, (1, side, side), 2), n, seed, levels=2)


def integer_grid(n: int = 5_000, of: str = "moons", levels: int = 32, seed: int = 0) -> Dataset:
    """Pairs of integers, uint8 (N, 2): a 2-D toy made discrete on a grid of levels x levels cells.

    Each cell's probability is in proportion to the toy's density at its middle.
    """
    toys = ("eight_gaussians", "two_gaussians", "moons", "rings", "spirals", "pinwheel")
    if of not in toys:
        raise ValueError(f"of must be one of {', '.join(toys)}, got {of!r}")
    check_at_least("levels", levels, 2)
    if levels > 256:
        raise ValueError(f"levels must be at most 256, got {levels}")
    density = getattr(toy, of)(n=2).law
    left, right, bottom, top = density.bounds
    middles = (all_states(levels, (2,)).double() + 0.5) / levels
    points = middles * torch.tensor((right - left, top - bottom)) + torch.tensor((left, bottom))
    law = FiniteLaw(density.log_prob(points), (2,), levels)
    return from_law("integer_grid", law, n, seed, levels=levels)


def linear_gaussian(
    n: int = 5_000, data_dim: int = 4, latent_dim: int = 2, noise: float = 0.5, seed: int = 0
) -> Dataset:
    """Points from a linear Gaussian latent variable model, whose posterior is known too."""
    check_at_least("data_dim", data_dim, 1)
    check_at_least("latent_dim", latent_dim, 1)
    check_at_least("seed", seed, 0)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(data_dim, latent_dim, generator=generator)
    bias = torch.randn(data_dim, generator=generator)
    return from_law("linear_gaussian", LinearGaussianLaw(weight, bias, noise), n, seed + 1)
