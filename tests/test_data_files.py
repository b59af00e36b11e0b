"""Files: a damaged download is never kept, errors name what to do, formats are read rightly."""

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import threading
import time
import wave
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from dgm import data
from dgm.data import formats, shipped
from dgm.data.download import DownloadError, find_file

CONTENT = np.random.default_rng(0).bytes(200_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
LOCAL = Path(os.environ.get("DGM_DATA") or Path(__file__).parents[2] / "shared" / "data")


class Handler(BaseHTTPRequestHandler):
    """/good is the file, /short breaks off, /cut is a shorter file, anything else is missing."""

    def do_GET(self):
        kind = self.path.strip("/")
        body = CONTENT if kind == "good" else CONTENT[:70_000]
        self.send_response(200 if kind in ("good", "short", "cut") else 404)
        self.send_header("Content-Length", str(len(CONTENT if kind == "short" else body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("DGM_DATA", raising=False)
    monkeypatch.setenv("DGM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_is_kept_and_then_needs_no_network(host, cache):
    path = find_file("toy", "toy/file.bin", [f"{host}/good"], MD5)
    assert path == cache / "toy" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert find_file("toy", "toy/file.bin", ["http://127.0.0.1:9/gone"], MD5) == path


@pytest.mark.parametrize("kind", ["short", "cut", "missing"])
def test_a_broken_download_is_refused_and_leaves_nothing(host, cache, kind):
    with pytest.raises(DownloadError) as caught:
        find_file("toy", "toy/file.bin", [f"{host}/{kind}", "http://127.0.0.1:9/gone"], MD5)
    for word in ("'toy'", f"{host}/{kind}", "http://127.0.0.1:9/gone", "DGM_DATA"):
        assert word in str(caught.value)
    assert files_in(cache) == []


def test_the_second_address_helps_out(host, cache):
    path = find_file("toy", "toy/file.bin", [f"{host}/short", f"{host}/cut", f"{host}/good"], MD5)
    assert path.read_bytes() == CONTENT
    assert files_in(cache) == [path]


def test_a_damaged_cached_file_is_fetched_again(host, cache):
    path = find_file("toy", "toy/file.bin", [f"{host}/good"], MD5)
    path.write_bytes(CONTENT[:100])
    assert find_file("toy", "toy/file.bin", [f"{host}/good"], MD5).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_named(host, cache, monkeypatch):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match=f"'toy' cannot be stored in {cache}.*DGM_CACHE"):
        find_file("toy", "toy/file.bin", [f"{host}/good"], MD5)
    cache.unlink()
    cache.mkdir(mode=0o500)
    if os.access(cache, os.W_OK):
        return  # root may write anywhere
    with pytest.raises(DownloadError, match=f"'toy' cannot be stored in {cache}"):
        find_file("toy", "toy/file.bin", [f"{host}/good"], MD5)


def test_a_full_disk_leaves_nothing_half_written(host, cache):
    resource = pytest.importorskip("resource")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))  # bytes in any one file
    try:
        with pytest.raises(DownloadError, match=f"cannot be stored in {cache}"):
            find_file("toy", "toy/file.bin", [f"{host}/good"], MD5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert files_in(cache) == []


@pytest.mark.parametrize("asked", data.names()[data.names().index("mnist") :])
def test_without_the_network_the_set_and_the_way_out_are_named(asked, cache, monkeypatch):
    import requests

    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", refuse)
    name = asked.removeprefix("binary_")  # made from the grey pictures
    with pytest.raises(DownloadError, match=rf"(?s)'{name}'.*http.*DGM_DATA=FOLDER"):
        data.load(asked)
    monkeypatch.setenv("DGM_DATA", str(cache.parent))
    with pytest.raises(FileNotFoundError, match=rf"'{name}'.*{cache.parent}"):
        data.load(asked)
    monkeypatch.setenv("DGM_DATA", str(cache / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.load(asked)


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(head + array.tobytes(), 1))


def test_mnist_validates_on_the_last_ten_thousand_training_images(tmp_path, monkeypatch):
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        x = np.zeros((n, 28, 28), np.uint8)
        x[:, 0, 0], x[:, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte.gz", x)
        write_idx(
            tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte.gz", (np.arange(n) % 10).astype("u1")
        )
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    d = data.load("mnist")
    numbers = [x[:, 0, 0, 0].long() + 256 * x[:, 0, 0, 1].long() for x in (d.train, d.val, d.test)]
    for number, start, stop in zip(numbers, (0, 50_000, 0), (50_000, 60_000, 10_000), strict=True):
        assert torch.equal(number, torch.arange(start, stop))
    assert torch.equal(d.val_y, torch.arange(50_000, 60_000) % 10)


def test_a_damaged_local_file_is_named(tmp_path):
    path = tmp_path / "images.gz"
    write_idx(path, np.zeros((3, 4), np.uint8))
    assert formats.idx(path).shape == (3, 4)
    whole = path.read_bytes()
    for broken in (
        whole[:-9],
        b"no gzip",
        gzip.compress(b"\x00\x00\x08\x02\x00"),
        gzip.compress(b""),
    ):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"images\.gz"):
            formats.idx(path)


def test_local_copies_say_when_they_are_a_subset(monkeypatch):
    if not (LOCAL / "MNIST").is_dir():
        pytest.skip("no folder of local data")
    monkeypatch.setenv("DGM_DATA", str(LOCAL))
    mnist = data.load("mnist")
    assert (len(mnist.train), len(mnist.val), len(mnist.test)) == (50_000, 10_000, 10_000)
    assert mnist.train_y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.double().mean() == pytest.approx(33.79, abs=0.01)  # 0.1325 of 255, well known
    cifar = data.load("cifar10")
    assert cifar.train_y[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert cifar.train[0, :, 0, 0].tolist() == [59, 62, 63]
    assert len(data.load("tiny_shakespeare").vocabulary) == 65
    assert "complete" in mnist.source
    for name in ("fashion_mnist", "cifar10", "spoken_digits"):
        complete = (LOCAL / "CIFAR10/cifar-10-binary.tar.gz").exists()
        assert complete or data.load(name).source.startswith("SUBSET")


# --- pictures that come with the package ----------------------------------------------------------

MNIST_TEST_MD5 = "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"  # official


def test_the_shipped_mnist_pictures_are_the_official_ones_byte_for_byte():
    d = data.load("mnist_test")
    sizes = (10_000, 28, 28), (10_000,)
    heads = [bytes((0, 0, 8, len(n))) + np.array(n, ">i4").tobytes() for n in sizes]
    values = d.test.numpy().tobytes(), d.test_y.byte().numpy().tobytes()
    digests = [hashlib.md5(a + b).hexdigest() for a, b in zip(heads, values, strict=True)]
    assert digests == list(MNIST_TEST_MD5)
    assert d.test_y[:5].tolist() == [7, 2, 1, 0, 4]


def test_nothing_is_trained_or_chosen_on_the_test_pictures():
    for name in ("mnist_test", "binary_mnist_test"):
        d = data.load(name)
        assert (len(d.train), len(d.val), len(d.test)) == (0, 0, 10_000)
        assert d.train.shape == d.val.shape == (0, 1, 28, 28)
        assert d.train.dtype == d.test.dtype == torch.uint8
        assert "0 train, 0 val, 10000 test" in repr(d)


def test_shipped_pictures_equal_the_local_copy(monkeypatch):
    if not (LOCAL / "MNIST").is_dir():
        pytest.skip("no folder of local data")
    monkeypatch.setenv("DGM_DATA", str(LOCAL))
    full, test = data.load("mnist"), data.load("mnist_test")
    assert torch.equal(full.test, test.test)
    assert torch.equal(full.test_y, test.test_y)
    binary = data.load("binary_mnist")
    assert torch.equal(binary.test, data.load("binary_mnist_test").test)
    assert (binary.train.shape, binary.val.shape) == (full.train.shape, full.val.shape)
    grey, bits = full.train.double().mean(0) / 255, binary.train.double().mean(0)
    deviation = (grey * (1 - grey) / 50_000).sqrt()  # at most: pixels at 0 and 255 are certain
    assert ((bits - grey).abs() <= 5 * deviation).all()
    if (LOCAL / "FashionMNIST/subset").is_dir():
        first = formats.idx(LOCAL / "FashionMNIST/subset/first2000-images-idx3-ubyte.gz")[:1000]
        labels = formats.idx(LOCAL / "FashionMNIST/subset/first2000-labels-idx1-ubyte.gz")[:1000]
        d = data.load("fashion_small")
        assert torch.equal(torch.cat((d.train, d.val, d.test))[:, 0], first)
        assert torch.equal(torch.cat((d.train_y, d.val_y, d.test_y)), labels.long())


def test_a_damaged_shipped_file_is_refused_and_named(tmp_path, monkeypatch):
    for file in shipped.EMBEDDED.glob("*.xz"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(shipped, "EMBEDDED", tmp_path)
    file = tmp_path / "t10k-labels-idx1-ubyte.xz"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[2000] ^= 1
    other = lzma.compress(lzma.decompress(whole)[:-1] + b"\1")  # whole, but another label
    for broken in (whole[:-9], b"", bytes(flipped), other):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match=file.name):
            data.load("mnist_test")


def test_shipped_pictures_need_no_network_no_folder_and_no_time(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    monkeypatch.setenv("DGM_CACHE", str(tmp_path / "nowhere"))
    for name in ("mnist_test", "binary_mnist_test", "fashion_small"):
        seconds = []
        for _ in range(3):
            start = time.process_time()
            data.load(name)
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.3, name
    assert list(tmp_path.iterdir()) == []


def test_binary_pictures_are_one_fixed_draw_of_their_grey_values():
    grey, binary = data.load("mnist_test").test, data.load("binary_mnist_test")
    digest = hashlib.md5(binary.test.numpy().tobytes()).hexdigest()
    assert digest == "2eb5ac7b5525bddf089f8059e7d301ea"  # on every machine
    assert binary.levels == 2
    assert not binary.test[grey == 0].any()
    assert binary.test[grey == 255].all()
    for low, high in ((1, 85), (86, 170), (171, 254)):
        here = (grey >= low) & (grey <= high)
        p = grey[here].double() / 255
        error = (p * (1 - p)).sum().sqrt() / len(p)
        assert abs(binary.test[here].double().mean() - p.mean()) < 4 * error
    again = shipped.binarised(grey[:100], torch.Generator().manual_seed(1))
    assert not torch.equal(again, binary.test[:100])  # dynamic: another draw


def test_fashion_small_says_that_it_is_a_subset():
    d = data.load("fashion_small")
    assert d.source.startswith("SUBSET")
    assert (len(d.train), len(d.val), len(d.test)) == (600, 200, 200)
    assert d.train_y[:5].tolist() == [9, 0, 0, 3, 0]  # ankle boot, T-shirt, T-shirt, dress, T-shirt
    assert sum(file.stat().st_size for file in shipped.EMBEDDED.glob("fashion*")) < 500_000


def test_every_embedded_file_is_checked_and_credited():
    files = {file.stem for file in shipped.EMBEDDED.glob("*.xz")}
    readme = (shipped.EMBEDDED / "README.md").read_text()
    assert files == set(shipped.EMBEDDED_MD5)
    assert all(f"`{file}.xz`" in readme for file in files)
    assert all(digest in readme for digest in shipped.EMBEDDED_MD5.values())


# --- formats of the downloaded files --------------------------------------------------------------


def tar_of(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_archives_are_read_as_they_were_written(tmp_path):
    pixels = np.arange(6 * 3072).astype(np.uint8).reshape(6, 3, 32, 32)
    rows = [bytes([k]) + image.tobytes() for k, image in enumerate(pixels)]
    names = [f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)]
    names.append("cifar-10-batches-bin/test_batch.bin")
    tar_of(tmp_path / "cifar.tar.gz", dict(zip(names, rows, strict=True)))
    x, y = formats.cifar_archive(tmp_path / "cifar.tar.gz")
    assert np.array_equal(x.numpy(), pixels)
    assert y.tolist() == [0, 1, 2, 3, 4, 5]

    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([1, -2, 300], "<i2").tobytes())
    tar_of(tmp_path / "fsdd.tar.gz", {"fsdd/recordings/7_theo_12.wav": sound.getvalue()})
    audio, digit, number = formats.spoken_digits_archive(tmp_path / "fsdd.tar.gz")
    assert (audio[0].tolist(), digit.tolist(), number.tolist()) == ([1, -2, 300], [7], [12])


def test_svhn_and_omniglot_files_are_read_as_they_were_written(tmp_path):
    from PIL import Image
    from scipy.io import savemat

    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), np.uint8)
    savemat(tmp_path / "svhn.mat", {"X": x, "y": np.array([[10], [1], [9], [10]], np.uint8)})
    images, y = formats.svhn_file(tmp_path / "svhn.mat")
    assert np.array_equal(images[2, 1].numpy(), x[:, :, 1, 2])
    assert y.tolist() == [0, 1, 9, 0]

    paper = np.ones((105, 105), bool)
    paper[:50] = False  # ink in the upper part
    with zipfile.ZipFile(tmp_path / "omniglot.zip", "w") as archive:
        for name in (
            "images/Latin/character02/0002_20.png",
            "images/Latin/character01/0001_03.png",
        ):
            png = io.BytesIO()
            Image.fromarray(paper).save(png, "PNG")
            archive.writestr(name, png.getvalue())
    ink, y, writer = formats.omniglot_zip(tmp_path / "omniglot.zip", 105)
    assert np.array_equal(ink[0, 0].numpy(), 1 - paper)
    assert (y.tolist(), writer.tolist()) == ([0, 1], [3, 20])
    small = formats.omniglot_zip(tmp_path / "omniglot.zip", 21)[0]
    assert small[0, 0, :10].unique().tolist() == [255]
    assert small[0, 0, 10:].unique().tolist() == [0]


@pytest.fixture
def archives(tmp_path):
    """Tiny files of every format, and what reads them."""
    rng = np.random.default_rng(1)
    write_idx(tmp_path / "a.idx.gz", rng.integers(0, 256, (5, 4, 4), np.uint8))
    names = [f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)]
    names.append("cifar-10-batches-bin/test_batch.bin")
    tar_of(tmp_path / "cifar.tar.gz", {name: rng.bytes(3073) for name in names})
    tar_of(tmp_path / "fsdd.tar.gz", {f"r/{k}_theo_{k}.wav": sound_of(rng) for k in range(4)})
    images = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.savez_compressed(tmp_path / "cifar.npz", images=images, labels=np.arange(3, dtype="u1"))
    np.savez(
        tmp_path / "fsdd.npz",
        audio=rng.integers(-9, 9, 40).astype("<i2"),
        offsets=np.array([0, 11, 40]),
        digit=np.array([3, 8], "u1"),
        index=np.array([0, 14], "u1"),
    )
    np.savez_compressed(tmp_path / "rows.npz", imgs=rng.integers(0, 2, (40, 6, 6), np.uint8))
    rows = torch.tensor([39, 0, 7])
    return {
        tmp_path / "a.idx.gz": formats.idx,
        tmp_path / "cifar.tar.gz": formats.cifar_archive,
        tmp_path / "fsdd.tar.gz": formats.spoken_digits_archive,
        tmp_path / "cifar.npz": formats.cifar_subset,
        tmp_path / "fsdd.npz": formats.spoken_digits_subset,
        tmp_path / "rows.npz": lambda path: formats.npz_rows(path, "imgs", rows, chunk=16),
    }


def sound_of(rng):
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(rng.bytes(2 * int(rng.integers(5, 30))))
    return sound.getvalue()


def plain(content):
    """Nested lists of what a reader gives."""
    if isinstance(content, tuple | list):
        return [plain(part) for part in content]
    return content.tolist()


def damages(whole, rng, n):
    """Truncated, with one bit flipped, with a few bytes zeroed, doubled, cut in the middle."""
    yield from (b"", whole[: len(whole) // 2], whole + whole, whole[:-1], b"\x00" * len(whole))
    for _ in range(n):
        broken, at = bytearray(whole), int(rng.integers(len(whole)))
        kind = rng.integers(3)
        if kind == 0:
            broken[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            broken[at : at + 8] = bytes(len(broken[at : at + 8]))
        else:
            del broken[at : at + int(rng.integers(1, 40))]
        yield bytes(broken)


def test_a_damaged_file_is_named_and_never_read_as_other_data(archives):
    rng = np.random.default_rng(0)
    refused = 0
    for path, read in archives.items():
        whole, right = path.read_bytes(), plain(read(path))
        for broken in damages(whole, rng, 150):
            path.write_bytes(broken)
            try:
                assert plain(read(path)) == right, f"{path.name} was read as other data"
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                refused += 1
    assert refused > 500


def test_files_without_a_checksum_of_their_own_are_held_against_the_published_one(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    (tmp_path / "good.zip").write_bytes(CONTENT)
    assert find_file("toy", "good.zip", [], MD5) == tmp_path / "good.zip"
    (tmp_path / "good.zip").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ValueError, match=rf"{tmp_path}.good\.zip.*md5"):
        find_file("toy", "good.zip", [], MD5)


def test_omniglot_keeps_writers_apart_and_counts_characters_on(tmp_path, monkeypatch):
    from PIL import Image

    from dgm.data import images

    def zip_of(path, characters):
        with zipfile.ZipFile(path, "w") as archive:
            for k, character in enumerate(characters):
                for writer in range(1, 21):
                    paper = np.ones((105, 105), bool)
                    paper[0, k], paper[1, writer] = False, False  # ink that tells who and what
                    png = io.BytesIO()
                    Image.fromarray(paper).save(png, "PNG")
                    name = f"images/{character}/{k:04d}_{writer:02d}.png"
                    archive.writestr(name, png.getvalue())
        return hashlib.md5(path.read_bytes()).hexdigest()

    (tmp_path / "Omniglot").mkdir()
    files = {"images_background": ("Greek/b", "Greek/a", "Latin/a"), "images_evaluation": ("X/z",)}
    digests = {key: zip_of(tmp_path / f"Omniglot/{key}.zip", of) for key, of in files.items()}
    monkeypatch.setattr(images, "OMNIGLOT_MD5", digests)
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    d = data.load("omniglot", size=105)
    writers = [part[:, 0, 1].long().argmax(1) for part in (d.train, d.val, d.test)]
    assert set(writers[0].tolist()) == set(range(1, 19))
    assert set(writers[1].tolist()) == {19, 20}
    assert (len(d.train), len(d.val), len(d.test)) == (54, 6, 20)
    drawn = d.train[:, 0, 0].long().argmax(1)  # number of the character within its file
    assert d.train_y.unique().tolist() == [0, 1, 2]
    assert {(int(a), int(b)) for a, b in zip(drawn, d.train_y, strict=True)} == {
        (1, 0), (0, 1), (2, 2),
    }  # fmt: skip
    assert d.test_y.unique().tolist() == [3]


def test_spoken_digits_keep_the_official_split(tmp_path, monkeypatch):
    """Recordings 0 to 4 test, 5 and 6 validate, the rest trains; each with its own digit."""
    number = np.tile(np.arange(10), 2)
    digit = np.repeat([3, 8], 10)
    audio = (np.arange(20) * 1000).astype("<i2")  # one sample a recording tells which it is
    (tmp_path / "FSDD").mkdir()
    np.savez(
        tmp_path / "FSDD/fsdd_2speakers_300.npz",
        audio=audio, offsets=np.arange(21), digit=digit, index=number,
    )  # fmt: skip
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    d = data.load("spoken_digits", length=3)
    token = {int(data.sequences.mu_law(torch.tensor(1000 * k / 32768))): k for k in range(20)}
    parts = [(d.train, d.train_y), (d.val, d.val_y), (d.test, d.test_y)]
    which = [[token[int(v)] for v in x[:, 0]] for x, _ in parts]
    numbers = [[int(number[k]) for k in ids] for ids in which]
    assert [sorted(set(n)) for n in numbers] == [[7, 8, 9], [5, 6], [0, 1, 2, 3, 4]]
    for ids, (_, y) in zip(which, parts, strict=True):
        assert y.tolist() == [int(digit[k]) for k in ids]


def test_rows_of_a_large_npz_come_in_the_order_asked_for(tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (1000, 8, 8), np.uint8)
    np.savez_compressed(tmp_path / "sprites.npz", imgs=images)
    rows = torch.tensor([999, 0, 500, 63, 64, 0])
    got = formats.npz_rows(tmp_path / "sprites.npz", "imgs", rows, chunk=64)
    assert np.array_equal(got.numpy(), images[rows.numpy()])
