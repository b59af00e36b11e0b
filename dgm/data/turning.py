"""A coloured molecule that turns in space: small pictures whose rotation is known.

Drawn by formula: seven balls on a crooked chain, lit from the front, nearer ones before farther
ones. No rotation but the identity leaves it as it is, so a picture tells its rotation.
"""

import math

import torch
from torch import Tensor

from dgm.data.dataset import Dataset, check_at_least, split_parts

SIDE_OF_VIEW, LEVELS_OF_VIEW = 20, 32
BALLS = (  # place, radius, colour in red, green and blue
    ((0.00, 0.00, 0.00), 0.52, (0.95, 0.95, 0.95)),
    ((0.78, 0.10, -0.05), 0.44, (0.95, 0.25, 0.20)),
    ((-0.15, 0.80, 0.10), 0.42, (0.20, 0.75, 0.30)),
    ((0.05, -0.20, 0.85), 0.46, (0.25, 0.45, 0.95)),
    ((-0.70, -0.45, -0.20), 0.40, (0.95, 0.80, 0.20)),
    ((0.20, -0.35, -0.80), 0.38, (0.80, 0.30, 0.85)),
    ((0.90, 0.62, -0.20), 0.30, (0.95, 0.60, 0.25)),
)


def uniform_turns(n: int, generator: torch.Generator) -> Tensor:
    """n rotations (n, 3, 3), uniform, float64: QR of Gaussian matrices, signs put right."""
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, dtype=torch.float64, generator=generator))
    q = q * r.diagonal(dim1=1, dim2=2).sign()[:, None]
    q[:, :, 0] *= torch.linalg.det(q)[:, None]
    return q


def draw_views(turns: Tensor, side: int = SIDE_OF_VIEW, fine: int = 2) -> Tensor:
    """Rotations (N, 3, 3) -> pictures (N, 3, side, side) uint8 in 0 .. 31, seen along the z axis.

    Raises
    ------
    ValueError
        turns are no rotations (N, 3, 3).
    """
    if turns.ndim != 3 or turns.shape[1:] != (3, 3) or (torch.linalg.det(turns) < 0.99).any():
        raise ValueError(f"turns must be rotations (N, 3, 3), got shape {tuple(turns.shape)}")
    return torch.cat([_views(part.float(), side, fine) for part in turns.split(200)])


def _views(turns: Tensor, side: int, fine: int) -> Tensor:
    # the balls, turned; the view is 2.9 wide
    places = torch.tensor([ball[0] for ball in BALLS]).to(turns) @ turns.mT  # (N, 7, 3)
    radius = torch.tensor([ball[1] for ball in BALLS]).to(turns)[:, None, None]
    colors = torch.tensor([ball[2] for ball in BALLS]).to(turns)
    at = (torch.arange(side * fine).to(turns) + 0.5) / (side * fine) * 2.9 - 1.45
    x, y = at - places[..., :1, None], -at[:, None] - places[..., 1:2, None]  # (N, 7, 1, S) ...
    # the ball in front at every point, how much it faces us, and its depth
    square = (x.movedim(-2, -2).square() + y.square()) / radius.square()
    faces = (1 - square).clamp_min(0).sqrt()
    depth = places[..., 2, None, None] + radius * faces
    front = torch.where(square < 1, depth, -math.inf).max(1)
    seen = front.values.isfinite()
    facing = faces.gather(1, front.indices[:, None])[:, 0]
    light = (0.35 + 0.65 * facing) * (0.75 + 0.17 * front.values.clamp(-1.5, 1.5))
    picture = torch.where(seen, light, 0.0)[..., None] * colors[front.indices]  # (N, S, S, 3)
    picture = picture.unflatten(1, (side, fine)).unflatten(3, (side, fine)).mean((2, 4))
    levels = (LEVELS_OF_VIEW - 1) * picture.clamp(0, 1).movedim(-1, 1)
    return (levels + 0.5 - 1e-6).floor().to(torch.uint8)


def turning_molecule(n: int = 1200, seed: int = 0) -> Dataset:
    """Pictures (3, 20, 20) of 32 levels under n uniform rotations, n // 4 validation and test each.

    Labels (N, 9) are the rotations, row by row, float64.
    """
    check_at_least("n", n, 4)
    check_at_least("seed", seed, 0)
    sizes = (n, n // 4, n // 4)
    turns = uniform_turns(sum(sizes), torch.Generator().manual_seed(seed))
    parts = split_parts(draw_views(turns), turns.flatten(1), sizes)
    return Dataset(
        name="turning_molecule",
        shape=(3, SIDE_OF_VIEW, SIDE_OF_VIEW),
        levels=LEVELS_OF_VIEW,
        source=f"drawn by formula under uniform rotations with seed {seed}",
        **parts,
    )
