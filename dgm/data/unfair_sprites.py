"""Sprites whose factors go together: position, size and shape, drawn with a known dependence.

After the unfair dSprites of Creager et al. (2019), arXiv:1906.02589, section 5.1: the pictures are
those of `sprites`, their factors are no longer independent.
"""

import torch

from dgm.data.census import SensitiveTable, sensitive_parts
from dgm.data.dataset import check_at_least, check_positive
from dgm.data.sprites import SpriteGrid
from dgm.distribution.support import Levels

UNFAIR_COUNTS = (3, 4, 6, 8, 8)  # three shapes, four sizes, six turns, 8 by 8 places


def unfair_sprites(
    n: int = 4000, size: int = 16, lean: float = 1.5, seed: int = 0
) -> SensitiveTable:
    """n sprites to train on, n // 4 to validate, n // 2 to test; bits (1, size, size).

    Attributes a: (large, low); the task y: in the right half. The chance of the right half is
    the logistic function of lean (a_1 - 1/2) + lean (a_2 - 1/2), a_1 and a_2 are fair and
    independent coins; all else is uniform. s is a_1.

    Raises
    ------
    ValueError
        n or size is too small, lean is not a number above 0.
    """
    check_at_least("n", n, 8)
    check_at_least("seed", seed, 0)
    check_positive("lean", lean)
    grid, made = SpriteGrid(UNFAIR_COUNTS, size, closed=False), torch.Generator().manual_seed(seed)
    sizes = (n, n // 4, n // 2)
    total = sum(sizes)
    # the attributes, then the task that leans on them
    a = torch.randint(2, (total, 2), generator=made)
    chance = torch.sigmoid(lean * (a - 0.5).sum(1))
    y = (torch.rand(total, generator=made) < chance).long()
    # all other factors are uniform
    within = [torch.randint(k, (total,), generator=made) for k in (3, 2, 6, 4, 4)]
    shape, finer_size, turn, across, down = within
    columns = (shape, 2 * a[:, 0] + finer_size, turn, 4 * y + across, 4 * a[:, 1] + down)
    factors = torch.stack(columns, 1)
    parts = sensitive_parts(grid.draw(factors), a[:, 0], y, a, sizes)
    return SensitiveTable(**parts, kind=Levels((1, size, size), 2), attributes=("large", "low"))
