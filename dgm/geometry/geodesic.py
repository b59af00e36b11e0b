"""Shortest curves: of all curves between two points the geodesic has the least energy.

Arvanitidis, Hansen and Hauberg (2018), arXiv:1710.11379, section 2.1; curves as a line and a few
waves, minimised directly: Yang et al. (2018), arXiv:1809.04747. Needs torch only.
"""

import math

import torch
from torch import Tensor


def curve_energy(metric: object, points: Tensor) -> Tensor:
    """1/2 of the integral over 0 < t < 1 of c'^T M c', of a curve given by ``points`` (T, d).

    ``metric.squared_speed(z, step)`` (B,) is asked at the middles of the T - 1 pieces, whose speed
    is (T - 1) times their step. With the length L the energy is at least L^2 / 2, and equal at
    constant speed.
    """
    speed = _squared_speeds(metric, points)
    return 0.5 * speed.mean()


def curve_length(metric: object, points: Tensor) -> Tensor:
    """Integral of the speed sqrt(c'^T M c') along the points (T, d) of a curve."""
    return _squared_speeds(metric, points).sqrt().mean()


def _squared_speeds(metric: object, points: Tensor) -> Tensor:
    """c'^T M c' at the middles of the pieces, (T - 1,)."""
    if points.ndim != 2 or len(points) < 2:
        raise ValueError(f"points must be a curve (T, d) with T >= 2, got {tuple(points.shape)}")
    step = (points[1:] - points[:-1]) * (len(points) - 1)
    return metric.squared_speed((points[1:] + points[:-1]) / 2, step)


def straight_line(start: Tensor, end: Tensor, n_points: int = 65) -> Tensor:
    """Points (n_points, d) of equal distance from start (d,) to end (d,), both among them."""
    if start.ndim != 1 or start.shape != end.shape:
        said = f"{tuple(start.shape)} and {tuple(end.shape)}"
        raise ValueError(f"start and end must be points (d,) of one space, got {said}")
    if n_points < 2:
        raise ValueError(f"n_points must be at least 2, got {n_points}")
    t = torch.linspace(0, 1, n_points, dtype=start.dtype, device=start.device)[:, None]
    return start + t * (end - start)


def geodesic(
    metric: object,
    start: Tensor,
    end: Tensor,
    n_points: int = 65,
    n_waves: int = 8,
    steps: int = 60,
    path: Tensor | None = None,
) -> Tensor:
    """The curve of least energy near a first one, as points (n_points, d).

    It is the line from ``start`` (d,) to ``end`` (d,) and ``n_waves`` waves sin(k pi t) in each
    coordinate, whose heights L-BFGS finds. ``path`` (P, d), say over a graph, is where to begin;
    None: on the line. A minimum near the first curve: another path may be shorter still.

    Raises
    ------
    ValueError
        Points of different spaces, fewer than 2 points, no waves, or a path of fewer than 2 points.

    Examples
    --------
    >>> from dgm.geometry.pullback import PullbackMetric
    >>> flat = PullbackMetric(lambda z: z)
    >>> geodesic(flat, torch.zeros(2), torch.ones(2), n_points=3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [1.0000, 1.0000]])
    """
    line = straight_line(start, end, n_points)
    if n_waves < 1:
        raise ValueError(f"n_waves must be at least 1, got {n_waves}")
    # waves of unit size in the speed, so that all heights weigh alike
    t = torch.linspace(0, 1, n_points, dtype=line.dtype, device=line.device)
    k = torch.arange(1, n_waves + 1, dtype=line.dtype, device=line.device)
    waves = torch.sin(math.pi * t[:, None] * k) / k  # (n_points, n_waves)
    heights = line.new_zeros(n_waves, line.shape[1])
    if path is not None:
        heights = torch.linalg.lstsq(waves, _resampled(path, t) - line).solution
    heights.requires_grad_()
    # least energy
    search = torch.optim.LBFGS([heights], max_iter=steps, line_search_fn="strong_wolfe")

    def energy() -> Tensor:
        search.zero_grad()
        value = curve_energy(metric, line + waves @ heights)
        value.backward()
        return value

    search.step(energy)
    return (line + waves @ heights).detach()


def _resampled(path: Tensor, t: Tensor) -> Tensor:
    """The polygon path (P, d) at shares t (T,) of its length, (T, d)."""
    if path.ndim != 2 or len(path) < 2:
        raise ValueError(f"path must be points (P, d), P >= 2, got {tuple(path.shape)}")
    sizes = (path[1:] - path[:-1]).norm(dim=1)
    reach = torch.cat((sizes.new_zeros(1), sizes.cumsum(0)))
    at = t * reach[-1]
    i = torch.searchsorted(reach, at.contiguous(), right=True).clamp(1, len(path) - 1) - 1
    share = ((at - reach[i]) / sizes[i].clamp_min(1e-12)).clamp(0, 1)[:, None]
    return path[i] + share * (path[i + 1] - path[i])
