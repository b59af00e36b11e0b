"""Pictures of 28 by 28 that are no clothes, and what may be used to choose a setting.

For chapter 26: models of Fashion-MNIST are shown these. Every set is made without a network.
"""

import torch
from torch import Tensor

from dgm.data.dataset import check_at_least
from dgm.data.images import patches
from dgm.data.shipped import fashion_small, mnist_test
from dgm.data.sprites import sprites

OUTSIDE = ("digits", "inverted", "noise", "constant", "patches")


def outlier_sets(n: int = 200, seed: int = 0) -> dict[str, Tensor]:
    """n pictures (n, 1, 28, 28) uint8 of each kind in `OUTSIDE`, for tests only.

    Digits: the first of MNIST's test part. Inverted: 255 less the clothes of the test part (200).
    Noise: every pixel uniform. Constant: one level for all pixels. Patches: cut from photographs.
    """
    check_at_least("n", n, 1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    level = torch.randint(256, (n, 1, 1, 1), dtype=torch.uint8, generator=generator)
    photographs = patches(n=max(5 * n, 5), size=28, seed=seed).test[:n]
    found = (mnist_test().test[:n], 255 - fashion_small().test[:n], noise)
    found += (level.expand(n, 1, 28, 28).contiguous(), photographs)
    return dict(zip(OUTSIDE, found, strict=True))


def clothes_parts(n: int = 200) -> dict[str, Tensor]:
    """The first n clothes of "training", "validation" and "test" of `fashion_small`."""
    check_at_least("n", n, 1)
    clothes = fashion_small()
    parts = dict(training=clothes.train, validation=clothes.val, test=clothes.test)
    return {name: x[:n] for name, x in parts.items()}


def tuning_sprites(n: int = 200, seed: int = 0) -> Tensor:
    """n white sprites on black (n, 1, 28, 28) uint8: outsiders to choose a setting by, no test."""
    check_at_least("n", n, 1)
    return 255 * sprites(n=max(n, 8), size=28, seed=seed).train[:n]
