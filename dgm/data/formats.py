"""Readers of the file formats that downloaded sets come in. No pickled object is ever loaded.

Each raises a ValueError that names the file if it is damaged or holds something else. What is read
is covered by a checksum: gzip and zip carry one (a tar is unpacked whole first, or its gzip's would
never be reached); files without any are held against a known digest in download.py.
"""

import functools
import gzip
import hashlib
import io
import lzma
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def _names_the_file(read: Callable) -> Callable:
    """Turn whatever a broken file makes a parser raise into a ValueError that names the file.

    Parsers of binary formats fail in too many ways to list: KeyError, EOFError, struct.error,
    BadZipFile, zlib.error. A file that cannot be opened at all keeps its own error.
    """

    @functools.wraps(read)
    def reader(path: Path, *arguments: object, **options: object) -> object:
        with open(path, "rb"):  # absent, a folder, or not ours to read
            pass
        try:
            return read(path, *arguments, **options)
        except MemoryError as problem:  # a size in the header that no such file can have
            raise ValueError(f"{path} is damaged: it asks for too much memory") from problem
        except Exception as problem:
            if isinstance(problem, ValueError) and str(path) in str(problem):
                raise
            raise ValueError(
                f"{path} is damaged or holds something else ({type(problem).__name__}: {problem}). "
                "Delete it and fetch it again."
            ) from problem

    return reader


@_names_the_file
def gunzip(path: Path) -> bytes:
    """Content of a gzip file, its checksum verified."""
    return gzip.decompress(path.read_bytes())


@_names_the_file
def unxz(path: Path, md5: str) -> bytes:
    """Content of an xz file, held against its digest."""
    content = lzma.decompress(path.read_bytes())
    if (found := hashlib.md5(content).hexdigest()) != md5:
        raise ValueError(f"md5 of its content is {found}, not {md5}")
    return content


def _members(path: Path) -> dict[str, bytes]:
    """Name and content of the files in a gzipped tar, all of it under the checksum of the gzip."""
    with tarfile.open(fileobj=io.BytesIO(gunzip(path)), mode="r:") as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in files}


@_names_the_file
def idx(path: Path) -> Tensor:
    """A gzipped IDX file of unsigned bytes, uint8 of the shape in its header."""
    content = gunzip(path)
    n_dims = content[3] if content[:3] == b"\x00\x00\x08" and len(content) > 3 else 0
    start = 4 + 4 * n_dims
    shape = np.frombuffer(content[4:start], ">i4").tolist() if len(content) >= start else []
    if not n_dims or not shape or len(content) != start + int(np.prod(shape)):
        raise ValueError(f"{path} is not an IDX file of bytes, or it is cut off")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)


@_names_the_file
def cifar_archive(path: Path) -> tuple[Tensor, Tensor]:
    """The binary archive: all 60,000 images (N, 3, 32, 32) in order, test last, and labels."""
    names = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
    members = _members(path)
    blocks = [members[f"cifar-10-batches-bin/{name}"] for name in names]
    rows = torch.frombuffer(bytearray(b"".join(blocks)), dtype=torch.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).contiguous(), rows[:, 0].long()


@_names_the_file
def cifar_subset(path: Path) -> tuple[Tensor, Tensor]:
    """The npz of `images` (N, 32, 32, 3) and `labels` -> (N, 3, 32, 32) uint8 and (N,) int64."""
    with np.load(path, allow_pickle=False) as file:
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    return images.permute(0, 3, 1, 2).contiguous(), labels.long()


@_names_the_file
def svhn_file(path: Path) -> tuple[Tensor, Tensor]:
    """A Matlab file of X (32, 32, 3, N) and y, in which 10 means the digit 0."""
    from scipy.io import loadmat

    content = loadmat(path)
    x = torch.from_numpy(content["X"]).permute(3, 2, 0, 1).contiguous()
    return x, torch.from_numpy(content["y"].astype(np.int64)).flatten() % 10


@_names_the_file
def omniglot_zip(path: Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """All drawings (N, 1, size, size) uint8, their character and their writer (1 to 20), (N,)."""
    from PIL import Image

    with zipfile.ZipFile(path) as archive:
        files = sorted(name for name in archive.namelist() if name.endswith(".png"))
        drawings = [np.array(Image.open(io.BytesIO(archive.read(name)))) for name in files]
    paper = np.stack(drawings).astype(np.uint8)  # 1 where there is no ink
    ink = torch.from_numpy(1 - paper)[:, None]
    if size < 105:
        small = torch.nn.functional.adaptive_avg_pool2d(ink.float() * 255, size)
        ink = small.round().to(torch.uint8)
    characters = [name.rsplit("/", 1)[0] for name in files]
    _, y = np.unique(characters, return_inverse=True)
    writer = torch.tensor([int(name[-6:-4]) for name in files])
    return ink, torch.from_numpy(y).long(), writer


@_names_the_file
def npz_rows(path: Path, name: str, rows: Tensor, chunk: int = 8192) -> Tensor:
    """Some rows of an array of bytes in an npz file too large to hold, in the order asked for."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        if dtype != np.uint8 or fortran:
            raise ValueError(f"{path} holds {name!r} as {dtype}, expected rows of uint8")
        out = torch.empty((len(rows), *shape[1:]), dtype=torch.uint8)
        width = int(np.prod(shape[1:]))
        for start in range(0, shape[0], chunk):
            block = file.read(min(chunk, shape[0] - start) * width)
            here = torch.where((rows >= start) & (rows < start + chunk))[0]
            block = torch.frombuffer(bytearray(block), dtype=torch.uint8).reshape(-1, *shape[1:])
            out[here] = block[rows[here] - start]
    return out


@_names_the_file
def spoken_digits_archive(path: Path) -> tuple[list[np.ndarray], Tensor, Tensor]:
    """Recordings (int16, of different lengths), their digit and number from the tar of FSDD."""
    members = _members(path)
    names = sorted(name for name in members if name.endswith(".wav"))
    audio = []
    for name in names:
        with wave.open(io.BytesIO(members[name])) as file:
            audio.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    parts = [Path(name).stem.split("_") for name in names]  # digit_speaker_number.wav
    return audio, torch.tensor([int(p[0]) for p in parts]), torch.tensor([int(p[2]) for p in parts])


@_names_the_file
def spoken_digits_subset(path: Path) -> tuple[list[np.ndarray], Tensor, Tensor]:
    """The same from the npz of 300 recordings."""
    with np.load(path, allow_pickle=False) as file:
        audio = np.split(file["audio"], file["offsets"][1:-1])
        return audio, torch.from_numpy(file["digit"]).long(), torch.from_numpy(file["index"]).long()
