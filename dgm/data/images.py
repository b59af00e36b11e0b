"""Images: digits and photograph patches that need no network, and the usual downloaded sets.

All are uint8 (N, C, H, W), integers 0 .. levels-1.
"""

import torch

from dgm.data.dataset import Dataset, split


def digits() -> Dataset:
    """Handwritten digits, 8 x 8, 17 levels (0 to 16), labels 0 to 9; ships with scikit-learn.

    The first 1000 of the 1797 images train, the next 350 validate, the last 447 test: in this
    order, with no shuffling, the writers of the test images are mostly new ones.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.data).to(torch.uint8).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(bunch.target).to(torch.int64)
    source = "scikit-learn load_digits (UCI optical recognition of handwritten digits, test part)"
    parts = split(x, y, (1000, 350, 447))
    return Dataset(name="digits", shape=(1, 8, 8), levels=17, source=source, **parts)
