"""Pictures to one file and back: ``python -m dgm.compression pack out.dgmc *.png``.

``unpack out.dgmc folder`` writes them as PNG again, pixel for pixel. Pictures of any size are cut
into tiles of the size that the model knows; a model packs well what looks like its training data.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn
from torch.nn.functional import pad

from dgm import zoo
from dgm.compression.container import Container, model_digest, read_packed, write_packed
from dgm.zoo.codecs import codec_of, new_stack, words_to_begin_with

MODES = ("L", "LA", "RGB", "RGBA")


def pack_pictures(model: nn.Module, name: str, x: Tensor, note: bytes = b"") -> bytes:
    """Pictures x (N, *shape) as stored, all of them of the model's data, as bytes."""
    stack = new_stack()
    if words_to_begin_with(model):
        stack.fill(words_to_begin_with(model), name)
    return write_packed(name, model_digest(model), codec_of(model), stack, x, note)


def unpack_pictures(model: nn.Module, content: bytes) -> Tensor:
    """The pictures in content; a ValueError where it is not whole, or another model's."""
    return read_packed(content, model_digest(model), codec_of(model), new_stack)


# --- pictures of any size -------------------------------------------------------------------------


def read_picture(file: Path) -> Tensor:
    """One picture (C, H, W), uint8; a ValueError where a channel has more than 8 bits."""
    try:
        with Image.open(file) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{file} is no picture: {error}") from error
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if picture.mode not in MODES:
        raise ValueError(f"{file} must have 8 bits a channel ({', '.join(MODES)}): {picture.mode}")
    pixels = torch.from_numpy(np.array(picture))
    return pixels[None] if pixels.ndim == 2 else pixels.movedim(2, 0)


def to_tiles(picture: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(C, H, W) -> (n, 1, h, w): every channel in tiles, its last row and column repeated."""
    _, h, w = shape
    down, right = -picture.shape[1] % h, -picture.shape[2] % w
    padded = pad(picture[None].float(), (0, right, 0, down), mode="replicate")[0]
    rows = padded.to(torch.uint8).unfold(1, h, h).unfold(2, w, w)  # (C, n_down, n_right, h, w)
    return rows.reshape(-1, 1, h, w)


def from_tiles(tiles: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Undo `to_tiles`: (n, 1, h, w) -> a picture of this size (C, H, W)."""
    (channels, height, width), (h, w) = size, tiles.shape[2:]
    n_down, n_right = -(-height // h), -(-width // w)
    grid = tiles.view(channels, n_down, n_right, h, w).movedim(3, 2)
    return grid.reshape(channels, n_down * h, n_right * w)[:, :height, :width]


def _model(name: str) -> nn.Module:
    """The trained model called "pixel_wavenet mnist"; a ValueError where it packs no pictures."""
    system, _, data_name = name.partition(" ")
    if not data_name:
        raise ValueError(f"model must name a system and its data, 'vae mnist' say, got {name!r}")
    model = zoo.load(system, data_name)
    data = model.data
    if getattr(data, "levels", 0) != 256 or len(data.shape) != 3 or data.shape[0] != 1:
        raise ValueError(f"model must be of grey pictures of 256 levels, {name!r} is of {data!r}")
    return model


def pack(files: list[Path], out: Path, name: str) -> str:
    """Write the pictures in ``files`` to ``out``; says what that took."""
    model, tiles, index, png = _model(name), [], [], 0
    for file in files:
        picture = read_picture(file)
        tiles.append(to_tiles(picture, model.data.shape))
        index.append([file.stem, *picture.shape])
        png += len(as_png(picture))
    content = pack_pictures(
        model, name, torch.cat(tiles), zlib.compress(json.dumps(index).encode())
    )
    out.write_bytes(content)
    return f"{len(files)} pictures, {len(content)} bytes; as PNG {png} bytes"


def unpack(file: Path, folder: Path) -> str:
    """Write the pictures in ``file`` to ``folder`` as PNG; nothing there is written over.

    Raises
    ------
    ValueError
        The file is not whole, made by another model, or a picture of that name is there already.
    """
    content = file.read_bytes()
    packed = Container.from_bytes(content)
    tiles = unpack_pictures(_model(packed.model), content)
    index = json.loads(zlib.decompress(packed.note))
    names = [folder / f"{Path(stem).name}.png" for stem, *_ in index]
    for target in names:
        if target.exists() or names.count(target) > 1:
            raise ValueError(f"{target} is there already, or packed twice: nothing was written")
    # all is read: write
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for target, (_, *size) in zip(names, index, strict=True):
        n = to_tiles(torch.zeros(size, dtype=torch.uint8), packed.shape[1:]).shape[0]
        target.write_bytes(as_png(from_tiles(tiles[start : start + n], tuple(size))))
        start += n
    return f"{len(names)} pictures in {folder}"


def as_png(picture: Tensor) -> bytes:
    """A picture (C, H, W), uint8, as the bytes of a PNG file."""
    pixels = picture[0] if len(picture) == 1 else picture.movedim(0, 2)
    file = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and run what it asks for."""
    # what is asked for
    parser = argparse.ArgumentParser(prog="dgm.compression", description=__doc__)
    parts = parser.add_subparsers(dest="command", required=True)
    packing = parts.add_parser("pack", help="pictures to one file")
    packing.add_argument("out", type=Path)
    packing.add_argument("files", type=Path, nargs="+")
    said = "system and data set of the zoo; 'vae mnist' is faster and packs less well"
    packing.add_argument("--model", default="pixel_wavenet mnist", help=said)
    unpacking = parts.add_parser("unpack", help="the file back to pictures")
    unpacking.add_argument("file", type=Path)
    unpacking.add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    # do it, or say what was wrong
    try:
        if asked.command == "pack":
            print(pack(asked.files, asked.out, asked.model))
        else:
            print(unpack(asked.file, asked.folder))
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
