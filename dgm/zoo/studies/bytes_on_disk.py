"""Bytes of the files that models and general compressors make of the same test pictures.

``python -m dgm.zoo.studies.bytes_on_disk`` writes what is not on file: all 447 test digits of 8 by
8, and the first 1,000 test pictures of MNIST, one file each, decoded and compared. A file of a
model holds its name, its digest, sizes, checksums and initial bits; the model itself is not in it.
JPEG-XL needs the package pillow-jxl-plugin, which is no requirement: without it its row stays as it
is on file. Rows of picture formats say which package made them.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.metadata
import importlib.util
import io
import json
import lzma
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from dgm import data, results, zoo
from dgm.evaluate import nats
from dgm.zoo import packing

FILE = Path(__file__).with_suffix(".json")
MODELS = {
    "digits": ("wavenet", "integer_flow", "gated_pixelcnn", "made", "vae", "very_deep_vae",
               "absorbing_diffusion"),
    "mnist": ("pixel_wavenet", "vae", "resnet_vae"),
}  # fmt: skip
PICTURES = {"digits": 447, "mnist": 1000}
PACKAGES = {"PNG": "pillow", "WebP": "pillow", "JPEG-XL": "pillow-jxl-plugin"}


def load() -> list[dict]:
    """One dict for each file: ``of``, ``by``, ``bytes``, ``kind``; of models ``nats``, seconds.

    ``kind``: "exact" and "bound" by what the model says of x, "format" with the ``package`` if any.
    """
    return json.loads(FILE.read_text(encoding="utf-8"))["files"] if FILE.exists() else []


def packed_pictures(of: str) -> Tensor:
    """The pictures that are packed."""
    return data.load("digits" if of == "digits" else "mnist_test").test[: PICTURES[of]]


def as_bytes(of: str) -> bytes:
    """All pictures one after the other, a byte a pixel: what general compressors are given."""
    return packed_pictures(of).numpy().tobytes()


def picture_sheet(of: str) -> Image.Image:
    """All pictures side by side and in rows, as one picture: what picture formats are given.

    Digits are spread over 0 .. 255, which keeps their 17 values; blank tiles fill the last row.
    """
    x = packed_pictures(of)[:, 0]
    x = x * 15 if of == "digits" else x
    side, across = x.shape[1], 25
    rows = -(-len(x) // across)
    whole = torch.zeros(rows * across, side, side, dtype=torch.uint8)
    whole[: len(x)] = x
    grid = whole.view(rows, across, side, side).transpose(1, 2)
    return Image.fromarray(grid.reshape(rows * side, across * side).numpy())


def _saved(**options: object) -> Callable[[str], int]:
    """A picture format: the size of the sheet in it, after a look at what comes back."""

    def size(of: str) -> int:
        file, picture = io.BytesIO(), picture_sheet(of)
        picture.save(file, **options)
        with Image.open(io.BytesIO(file.getvalue())) as back:
            assert back.convert("L").tobytes() == picture.tobytes(), f"{options} loses something"
        return len(file.getvalue())

    return size


def formats() -> dict[str, Callable[[str], int]]:
    """General compressors and picture formats, by name, each at its strongest setting."""
    found = {
        "gzip": lambda of: len(gzip.compress(as_bytes(of), 9, mtime=0)),
        "bz2": lambda of: len(bz2.compress(as_bytes(of), 9)),
        "xz": lambda of: len(lzma.compress(as_bytes(of), preset=9 | lzma.PRESET_EXTREME)),
        "PNG": _saved(format="PNG", optimize=True),
        "WebP": _saved(format="WebP", lossless=True, quality=100, method=6),
    }
    if importlib.util.find_spec("pillow_jxl"):
        importlib.import_module("pillow_jxl")
        found["JPEG-XL"] = _saved(format="JXL", lossless=True, effort=9)
    return found


def by_format(of: str, name: str, size: Callable[[str], int]) -> dict:
    """The size in one format, and the package that wrote it where Python alone cannot."""
    row = {"of": of, "by": name, "kind": "format", "bytes": size(of)}
    if name in PACKAGES:
        row["package"] = f"{PACKAGES[name]} {importlib.metadata.version(PACKAGES[name])}"
    return row


def by_model(of: str, name: str) -> dict:
    """Pack with one model, unpack, compare; size, bits by the model's own count, seconds."""
    model, x = zoo.load(name, of), packed_pictures(of)
    start = time.process_time()
    content = packing.pack_pictures(model, f"{name} {of}", x)
    packed = time.process_time()
    assert torch.equal(packing.unpack_pictures(model, content), x), name
    unpacked = time.process_time()
    exact = hasattr(model, "log_prob")
    score = nats(model, x, repeats=1 if exact else 4, batch_size=64)
    return {"of": of, "by": name, "kind": "exact" if exact else "bound", "bytes": len(content),
            "nats": round(score.mean, 4), "seconds": [round(packed - start, 1),
                                                      round(unpacked - packed, 1)]}  # fmt: skip


def main() -> None:
    """Make the files that are not listed yet, those of the digits first."""
    files = load()
    for of in MODELS:
        jobs = {name: lambda of=of, name=name: by_model(of, name) for name in MODELS[of]}
        for name, size in formats().items():
            jobs[name] = lambda of=of, name=name, size=size: by_format(of, name, size)
        for name, job in jobs.items():
            if not any(found["of"] == of and found["by"] == name for found in files):
                files.append(job())
                print(files[-1], flush=True)
                lines = ",\n  ".join(map(json.dumps, files))
                hardware = json.dumps(results.hardware())
                text = f'{{"hardware": {hardware},\n "files": [\n  {lines}\n]}}\n'
                FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
