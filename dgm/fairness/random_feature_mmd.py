"""Maximum mean discrepancy: how far two samples are apart, by a kernel or by random features of it.

Gretton et al. (2012), JMLR 13, eqs. 3 and 5; Rahimi and Recht (2007), algorithm 1; as a penalty on
codes: Louizos et al. (2016), arXiv:1511.00830, eqs. 9-11. Needs torch only.
"""

import math
from itertools import combinations

import torch
from torch import Tensor, nn


def _two_samples(a: Tensor, b: Tensor, least: int) -> None:
    """Raise a ValueError unless a and b are rows of equal width, ``least`` of each at least."""
    for name, rows in (("a", a), ("b", b)):
        if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) < least:
            got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise ValueError(f"{name} must be rows (N >= {least}, D), got {got}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"b must have the {a.shape[1]} columns of a, got {b.shape[1]}")


def kernel_mmd(a: Tensor, b: Tensor, width: float, unbiased: bool = True) -> Tensor:
    """Squared MMD of samples a (N, D) and b (M, D) under exp(-|a - b|^2 / width), exact; ().

    Unbiased (U-statistic) leaves out the pairs of a point with itself, so it can fall below zero;
    biased (V-statistic) is the squared distance of the two means of features, never below zero, and
    above zero for two samples of one law.

    Raises
    ------
    ValueError
        a or b is no table, holds too few rows (2, biased 1), or width is not above 0.

    Examples
    --------
    >>> a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    >>> [round(kernel_mmd(a, b, 1.0, u).item(), 4) for u in (True, False)]
    [-0.6321, 0.0]
    """
    _two_samples(a, b, 2 if unbiased else 1)
    if not 0 < width < math.inf:
        raise ValueError(f"width must be finite and above 0, got {width}")
    total = -2 * _kernel(a, b, width).mean()
    for rows in (a, b):
        k, n = _kernel(rows, rows, width), len(rows)
        total = total + ((k.sum() - n) / (n * (n - 1)) if unbiased else k.mean())
    return total


def _kernel(a: Tensor, b: Tensor, width: float) -> Tensor:
    """exp(-|a_i - b_j|^2 / width) (N, M)."""
    return (-(a[:, None] - b[None]).square().sum(-1) / width).exp()


class RandomFeatures(nn.Module):
    """psi(z) (B, R) with psi(a) . psi(b) near exp(-|a - b|^2 / width); seeded, not learned.

    psi_r(z) = sqrt(2 / R) cos(sqrt(2 / width) w_r . z + b_r), w_r ~ N(0, I), b_r uniform in a turn.

    Parameters
    ----------
    dims : int
        Columns D of z.
    n_features : int
        R.
    width : float or tuple of float, optional
        Of the kernel; D where not given. Several share the features: the kernel is their mean.
    seed : int
        Of w and b.

    Examples
    --------
    >>> psi, z = RandomFeatures(3, 20_000), torch.tensor([[0.0, 0, 0], [1, 1, 0]])
    >>> round((psi(z)[0] @ psi(z)[1]).item(), 1), round(math.exp(-2 / 3), 1)
    (0.5, 0.5)
    """

    def __init__(
        self, dims: int, n_features: int = 256, width: float | tuple[float, ...] | None = None,
        seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        for name, size in (("dims", dims), ("n_features", n_features)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}")
        widths = width if isinstance(width, tuple) else (dims if width is None else width,)
        if not widths or not all(0 < each < math.inf for each in widths):
            raise ValueError(f"width must be finite and above 0, got {width}")
        of_each = torch.tensor(widths, dtype=torch.float32).repeat(n_features)[:n_features]
        made = torch.Generator().manual_seed(seed)
        w = torch.randn(dims, n_features, generator=made) * (2 / of_each).sqrt()
        turn = 2 * math.pi * torch.rand(n_features, generator=made)
        self.register_buffer("w", w, persistent=False)
        self.register_buffer("turn", turn, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, D) -> psi(z) (B, R)."""
        if z.ndim != 2 or z.shape[1] != len(self.w):
            raise ValueError(f"z must be (B, {len(self.w)}), got {tuple(z.shape)}")
        return math.sqrt(2 / len(self.turn)) * torch.cos(z @ self.w + self.turn)


def random_feature_mmd(a: Tensor, b: Tensor, unbiased: bool = False) -> Tensor:
    """Squared MMD of two samples by their features a (N, R) and b (M, R); ().

    |mean a - mean b|^2, the V-statistic of the kernel psi . psi; ``unbiased`` takes the pairs of a
    point with itself out of it. The cost grows with N + M, that of `kernel_mmd` with (N + M)^2.

    Raises
    ------
    ValueError
        As `kernel_mmd`.
    """
    _two_samples(a, b, 2 if unbiased else 1)
    if not unbiased:
        return (a.mean(0) - b.mean(0)).square().sum()
    total = -2 * (a.mean(0) @ b.mean(0))
    for rows in (a, b):
        n = len(rows)
        pairs = rows.sum(0).square().sum() - rows.square().sum()
        total = total + pairs / (n * (n - 1))
    return total


@torch.no_grad()
def permuted_mmd(
    features: Tensor, s: Tensor, permutations: int = 500, seed: int = 0, unbiased: bool = False
) -> Tensor:
    """The squared MMD of two groups, first as they are, then with members exchanged; (P + 1,).

    The share of entries at or above the first, itself included, is the p-value of a permutation
    test that both groups have one law.

    Parameters
    ----------
    features : (N, R), psi of the pooled sample.
    s : (N,) 0 or 1, the group of every row.
    permutations : P.
    seed : of the permutations.
    unbiased : as `random_feature_mmd`.
    """
    if s.shape != features.shape[:1] or set(s.unique().tolist()) != {0, 1}:
        raise ValueError("s must give every row of features its group, 0 or 1, both present")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    # who is in group 1, under every order
    made, n = torch.Generator().manual_seed(seed), len(s)
    orders = [torch.arange(n)] + [torch.randperm(n, generator=made) for _ in range(permutations)]
    member = s[torch.stack(orders)].to(features)  # (P + 1, N)
    sizes = n - s.sum().item(), s.sum().item()
    # sums of features, and of their squares, by group
    sums = (features.sum(0) - member @ features, member @ features)  # (P + 1, R) each
    if not unbiased:
        return (sums[1] / sizes[1] - sums[0] / sizes[0]).square().sum(1)
    squares = features.square().sum(1)
    own = (squares.sum() - member @ squares, member @ squares)
    total = -2 * (sums[0] * sums[1]).sum(1) / (sizes[0] * sizes[1])
    for of_group, of_self, size in zip(sums, own, sizes, strict=True):
        total = total + (of_group.square().sum(1) - of_self) / (size * (size - 1))
    return total


class GroupMMD(nn.Module):
    """The penalty of a fair code: squared MMD between the codes of groups, summed over pairs; ().

    A pair of which a batch has too few members (2 of each; biased 1) counts nothing.

    Parameters
    ----------
    features : RandomFeatures
    n_groups : int
        At least 2.
    unbiased : bool
        The paper's is biased.
    """

    def __init__(self, features: nn.Module, n_groups: int = 2, unbiased: bool = False):
        super().__init__()
        if n_groups < 2:
            raise ValueError(f"n_groups must be at least 2, one group has no other: {n_groups}")
        self.features, self.n_groups, self.unbiased = features, n_groups, unbiased

    def forward(self, z: Tensor, s: Tensor) -> Tensor:
        """Codes z (B, D) of groups s (B,) -> ()."""
        psi, total = self.features(z), z.new_zeros(())
        of_group = [psi[s == k] for k in range(self.n_groups)]
        for a, b in combinations(of_group, 2):
            if min(len(a), len(b)) > self.unbiased:
                total = total + random_feature_mmd(a, b, self.unbiased)
        return total
