"""Frechet distance: how far apart two samples are if all you keep is mean and covariance.

Dowson & Landau (1982), doi:10.1016/0047-259X(82)90077-X, eq. 4; on features of a classifier it is
the FID of Heusel et al. (2017), arXiv:1706.08500, eq. 6. Needs torch only.
"""

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The squared distance of the means plus tr(S + R - 2 (S^1/2 R S^1/2)^1/2), covariances S, R.

    The squared 2-Wasserstein distance between the Gaussians fitted to a (N, D) and b (M, D), in
    squared units of the features. The estimate is biased upwards in small samples: compare only
    samples of equal size, with a like one of real data beside them.

    Raises
    ------
    ValueError : a sample that is not (N, D) finite floats with N >= 2, or different D.

    Examples
    --------
    >>> a = torch.tensor([[0.0], [2.0]])
    >>> round(frechet_distance(a, 3 * a + 1), 6)  # means 1 and 4, deviations sqrt(2), 3 sqrt(2)
    17.0
    """
    for name, sample in (("a", a), ("b", b)):
        if sample.ndim != 2 or len(sample) < 2 or sample.shape[1] != a.shape[-1]:
            need = f"(N, {a.shape[-1]}), N >= 2" if a.ndim == 2 else "(N, D), N >= 2"
            raise ValueError(f"{name} has shape {tuple(sample.shape)}, expected {need}")
        if not torch.isfinite(sample).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    cov_a, cov_b = (torch.cov(t.T).reshape(t.shape[1], t.shape[1]) for t in (a, b))
    values, axes = torch.linalg.eigh(cov_a)
    root = axes * values.clamp_min(0).sqrt() @ axes.T  # the symmetric square root
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return (apart + cov_a.trace() + cov_b.trace() - 2 * cross).item()
