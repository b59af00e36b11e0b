"""Images: digits and photograph patches that need no network, and the usual downloaded sets.

All are uint8 (N, C, H, W), integers 0 .. levels-1. The readers of the downloaded files are in
formats.py; with DGM_DATA set, the files come from that folder.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgm.data import formats
from dgm.data.dataset import Dataset, check_at_least, split_parts
from dgm.data.download import find_file, find_local, local_folder
from dgm.data.shipped import binarised
from dgm.data.sprites import SpriteGrid, choose_examples

MNIST_MD5 = {
    "train-images": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MD5 = {
    "train-images": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels": "bb300cfdad3c16e7a12a480ee83cd310",
}
SVHN_MD5 = {"train": "e26dedcc434d2e4c54c9b2d4a06d8373", "test": "eb5a983be6a315427106f1b164d9cef3"}
OMNIGLOT_MD5 = {
    "images_background": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
}


def digits() -> Dataset:
    """Handwritten digits, 8 x 8, 17 levels (0 to 16), labels 0 to 9; ships with scikit-learn.

    The first 1000 of the 1797 images train, the next 350 validate, the last 447 test; in this
    order, which is not shuffled.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.data).to(torch.uint8).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(bunch.target).to(torch.int64)
    source = "scikit-learn load_digits (UCI optical recognition of handwritten digits, test part)"
    parts = split_parts(x, y, (1000, 350, 447))
    return Dataset(name="digits", shape=(1, 8, 8), levels=17, source=source, **parts)


def patches(n: int = 10_000, size: int = 8, color: bool = False, seed: int = 0) -> Dataset:
    """Random square patches of scikit-learn's two photographs (a temple and a flower), 256 levels.

    Grey by default. Each photograph is cut into ten upright bands 64 wide: 0, 2, 4, 5, 7 and 9
    train, 1 and 6 validate, 3 and 8 test, and no patch crosses a border, so no pixel is in two
    parts. n patches train, n // 5 each validate and test.
    """
    check_at_least("n", n, 5)
    check_at_least("size", size, 1)
    check_at_least("seed", seed, 0)
    if size > 64:
        raise ValueError(f"size must be at most 64, the width of a band, got {size}")
    from sklearn.datasets import load_sample_images

    photos = torch.from_numpy(np.stack(load_sample_images().images))
    photos = photos.permute(0, 3, 1, 2)  # (2, 3, 427, 640)
    if not color:
        weights = torch.tensor((0.299, 0.587, 0.114))  # ITU-R BT.601 luma
        photos = (photos * weights[:, None, None]).sum(1, keepdim=True).round().to(torch.uint8)
    generator = torch.Generator().manual_seed(seed)
    bands = photos.unflatten(3, (10, 64)).permute(0, 3, 1, 2, 4)  # (2, 10, C, 427, 64)
    regions = [bands[:, ids].flatten(0, 1) for ids in ([0, 2, 4, 5, 7, 9], [1, 6], [3, 8])]
    sizes = (n, n // 5, n // 5)
    cuts = [_cut(*job, size, generator) for job in zip(regions, sizes, strict=True)]
    source = "scikit-learn load_sample_images (china.jpg, flower.jpg), disjoint regions"
    parts = split_parts(torch.cat(cuts), None, sizes)
    return Dataset(
        name="patches", shape=tuple(cuts[0].shape[1:]), levels=256, source=source, **parts
    )


def _cut(photos: Tensor, n: int, size: int, generator: torch.Generator) -> Tensor:
    """n patches (n, C, size, size) at random places of photos (P, C, H, W)."""
    views = photos.unfold(2, size, 1).unfold(3, size, 1)  # (P, C, H', W', size, size), no copy
    which, row, column = (
        torch.randint(k, (n,), generator=generator)
        for k in (len(views), views.shape[2], views.shape[3])
    )
    return views[which, :, row, column]


def _idx_files(
    name: str, folder: str, addresses: tuple[str, ...], md5: dict[str, str]
) -> list[Path]:
    """Paths of training images and labels, then test images and labels."""
    kinds = {key: f"{key}-idx{3 if 'images' in key else 1}-ubyte.gz" for key in md5}
    return [
        find_file(name, f"{folder}/raw/{file}", [a + file for a in addresses], f"md5:{md5[key]}")
        for key, file in kinds.items()
    ]


def _official(name: str, files: list[Path], source: str) -> Dataset:
    """60,000 training images of which the last 10,000 validate, and 10,000 test images."""
    x, y, test, test_y = (formats.idx(file) for file in files)
    parts = split_parts(
        torch.cat((x, test))[:, None], torch.cat((y, test_y)).long(), (50_000, 10_000, 10_000)
    )
    return Dataset(name=name, shape=(1, 28, 28), levels=256, source=source, **parts)


def mnist() -> Dataset:
    """MNIST, 28 x 28, 256 levels: the first 50,000 training images, the last 10,000 of the
    official 60,000 for validation, and the official 10,000 test images. Downloaded (11 MB).
    """
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    return _official("mnist", _idx_files("mnist", "MNIST", mirrors, MNIST_MD5), "MNIST, complete")


def binary_mnist() -> Dataset:
    """`mnist` with two levels: each pixel drawn once, see `binarised`; test: binary_mnist_test."""
    grey, generator = mnist(), torch.Generator().manual_seed(0)
    parts = {part: binarised(getattr(grey, part), generator) for part in ("test", "train", "val")}
    source = f"{grey.source}; each pixel drawn once with probability x / 255"
    return replace(grey, name="binary_mnist", levels=2, source=source, **parts)


def fashion_mnist() -> Dataset:
    """Fashion-MNIST, 28 x 28, 256 levels, split like MNIST. Downloaded (30 MB).

    If the folder of DGM_DATA holds only the first 2,000 training images, these are split into
    1,600, 200 and 200, and `source` says so.
    """
    first = [f"FashionMNIST/subset/first2000-{k}-ubyte.gz" for k in ("images-idx3", "labels-idx1")]
    folder = local_folder()
    if folder and not (folder / "FashionMNIST/raw/train-images-idx3-ubyte.gz").is_file():
        x, y = (formats.idx(find_local("fashion_mnist", folder, file)) for file in first)
        source = "SUBSET of Fashion-MNIST: its first 2,000 training images, not its test set"
        parts = split_parts(x[:, None], y.long(), (1600, 200, 200))
        return Dataset(name="fashion_mnist", shape=(1, 28, 28), levels=256, source=source, **parts)
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    )
    files = _idx_files("fashion_mnist", "FashionMNIST", mirrors, FASHION_MD5)
    return _official("fashion_mnist", files, "Fashion-MNIST, complete")


def cifar10() -> Dataset:
    """CIFAR-10, colour 32 x 32, 256 levels: 45,000 training images, the last 5,000 of the official
    50,000 for validation, the official 10,000 test images. Downloaded (163 MB).

    If the folder of DGM_DATA holds only the first 4,000 training images, these are split into
    3,000, 500 and 500, and `source` says so.
    """
    archive, subset = "CIFAR10/cifar-10-binary.tar.gz", "CIFAR10/train_first4000.npz"
    folder = local_folder()
    if folder and not (folder / archive).is_file() and (folder / subset).is_file():
        x, y = formats.cifar_subset(folder / subset)
        source = "SUBSET of CIFAR-10: its first 4,000 training images, not its test set"
        sizes = (3000, 500, 500)
    else:
        addresses = ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
        x, y = formats.cifar_archive(
            find_file("cifar10", archive, addresses, "md5:c32a1d4ab5d03f1284b67883e8d87530")
        )
        source, sizes = "CIFAR-10, complete", (45_000, 5_000, 10_000)
    parts = split_parts(x, y, sizes)
    return Dataset(name="cifar10", shape=(3, 32, 32), levels=256, source=source, **parts)


def svhn() -> Dataset:
    """Street View House Numbers, colour 32 x 32, 256 levels, labels 0 to 9. Downloaded (246 MB).

    63,257 training images, the last 10,000 of the official 73,257 for validation, the official
    26,032 test images; without the extra part. Needs SciPy to read the files.
    """
    host = "http://ufldl.stanford.edu/housenumbers/"
    files = {part: f"{part}_32x32.mat" for part in SVHN_MD5}
    pairs = [
        formats.svhn_file(find_file("svhn", f"SVHN/{file}", [host + file], f"md5:{SVHN_MD5[part]}"))
        for part, file in files.items()
    ]
    x, y = (torch.cat(both) for both in zip(*pairs, strict=True))
    parts = split_parts(x, y, (63_257, 10_000, 26_032))
    return Dataset(
        name="svhn", shape=(3, 32, 32), levels=256, source="SVHN, without extra", **parts
    )


def omniglot(size: int = 28) -> Dataset:
    """Omniglot characters by 20 writers each, labels the character. Downloaded (15 MB).

    The 964 background characters by writers 1 to 18 train and by writers 19 and 20 validate;
    the 659 evaluation characters test. size 105 is the original, binary with ink 1; a smaller
    size is averaged over areas and has 256 levels.
    """
    if not isinstance(size, int) or not 8 <= size <= 105:
        raise ValueError(f"size must be an integer from 8 to 105, got {size!r}")
    # read both archives
    hosts = (
        "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
        "https://github.com/brendenlake/omniglot/raw/master/python/",
    )
    (x, y, writer), (test, test_y, _) = (
        formats.omniglot_zip(
            find_file(
                "omniglot", f"Omniglot/{key}.zip", [h + key + ".zip" for h in hosts], f"md5:{md5}"
            ),
            size,
        )
        for key, md5 in OMNIGLOT_MD5.items()
    )
    # writers 19 and 20 validate
    late = writer > 18
    order = torch.cat((torch.where(~late)[0], torch.where(late)[0]))
    sizes = (int((~late).sum()), int(late.sum()), len(test))
    parts = split_parts(
        torch.cat((x[order], test)), torch.cat((y[order], test_y + y.max() + 1)), sizes
    )
    levels = 2 if size == 105 else 256
    source = f"Omniglot, complete, at {size} x {size}"
    return Dataset(name="omniglot", shape=(1, size, size), levels=levels, source=source, **parts)


def dsprites(n: int = 20_000, seed: int = 0) -> Dataset:
    """The dSprites file: n random images of its 737,280 for training, n // 8 each for validation
    and test, binary 64 x 64, labels (N, 5) the factor numbers as in `sprites`. Downloaded (26 MB).
    """
    grid = SpriteGrid()
    picks, sizes = choose_examples(len(grid), n, seed)
    file = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    hosts = (
        "https://raw.githubusercontent.com/deepmind/dsprites-dataset/master/",
        "https://github.com/deepmind/dsprites-dataset/raw/master/",
    )
    md5 = "md5:7da33b31b13a06f4b04a70402ce90c2e"
    path = find_file("dsprites", f"dSprites/{file}", [host + file for host in hosts], md5)
    parts = split_parts(formats.npz_rows(path, "imgs", picks)[:, None], grid.factors(picks), sizes)
    source = f"dSprites, {sum(sizes)} of 737,280 images"
    return Dataset(name="dsprites", shape=(1, 64, 64), levels=2, source=source, **parts)
