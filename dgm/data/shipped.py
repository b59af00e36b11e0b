"""Pictures that come with the package: the MNIST test set, and a thousand of Fashion-MNIST.

They need no network. The files lie in embedded/, whose README.md says where they come from; what
they hold is checked against its digest whenever it is read.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dgm.data import formats
from dgm.data.dataset import Dataset, split_parts

EMBEDDED = Path(__file__).parent / "embedded"
EMBEDDED_MD5 = {  # of the content; those of t10k are the official ones
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "fashion-first1000-images-idx3-ubyte": "0204cfcdbec845c440aaae046f9798d3",
    "fashion-first1000-labels-idx1-ubyte": "8103653fc6c68ec51774aae8930768b8",
}


def _embedded_pictures(part: str) -> tuple[Tensor, Tensor]:
    """Pictures (N, 1, 28, 28) uint8 and labels (N,) int64 of one pair of IDX files."""
    pair = []
    for kind, head in (("images-idx3", 16), ("labels-idx1", 8)):  # bytes before the values
        file = f"{part}-{kind}-ubyte"
        content = formats.unxz(EMBEDDED / f"{file}.xz", EMBEDDED_MD5[file])
        pair.append(torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=head))
    x, y = pair
    return x.view(-1, 1, 28, 28), y.long()


def mnist_test() -> Dataset:
    """The official 10,000 test images of MNIST, in order, 28 x 28, 256 levels, labels 0 to 9.

    They are for testing alone: `train` and `val` are empty, (0, 1, 28, 28). What is trained on
    `mnist` can be measured on these where there is no network.
    """
    parts = split_parts(*_embedded_pictures("t10k"), (0, 0, 10_000))
    source = "MNIST (LeCun, Cortes and Burges), the complete test part; nothing to train on"
    return Dataset(name="mnist_test", shape=(1, 28, 28), levels=256, source=source, **parts)


def binary_mnist_test() -> Dataset:
    """`mnist_test` with two levels, each pixel drawn once; the test part of `binary_mnist`."""
    grey = mnist_test()
    source = f"{grey.source}; each pixel drawn once with probability x / 255"
    test = binarised(grey.test)
    return replace(grey, name="binary_mnist_test", levels=2, source=source, test=test)


def fashion_small() -> Dataset:
    """The first 1,000 training images of Fashion-MNIST, 28 x 28, 256 levels, labels 0 to 9.

    600 train, 200 validate and 200 test, in order; none is of the official test set.
    """
    parts = split_parts(*_embedded_pictures("fashion-first1000"), (600, 200, 200))
    source = "SUBSET of Fashion-MNIST (Zalando SE): its first 1,000 training images"
    return Dataset(name="fashion_small", shape=(1, 28, 28), levels=256, source=source, **parts)


def binarised(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Each pixel of x, uint8 in 0 .. 255, drawn as 1 with probability x / 255, else 0.

    Integers decide (is one of 0 .. 254, all alike, below x?), so a draw is equal on every machine.
    Without a generator it is always the same one, ours: figures on it come close to those on the
    published files of binary MNIST, but are not of them. Published figures of "dynamic"
    binarisation train on a new draw in every step and test on one: pass a generator there. On a
    fixed draw a model overfits sooner.
    """
    generator = generator or torch.Generator().manual_seed(0)
    return (torch.randint(255, x.shape, generator=generator, dtype=torch.uint8) < x).to(x.dtype)
