"""Pieces of a page: live source listings, and figures the reader can move.

All of it is plain Markdown or self-contained HTML: no request leaves the page, and the rendered
book, JupyterLab and Colab show the same.
"""

import base64
import hashlib
import inspect
import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dgm.plot.figure import pixels
from dgm.plot.panels import cuts, styles, white_columns

REPOSITORY = "https://github.com/-OWNER/REPO"  # stamped with the publisher's own address
ROOT = Path(__file__).resolve().parents[2]


def href(path: str) -> str:
    """Address of a file of the repository (``dgm/flow/flow.py``) for a link in a notebook.

    Relative where the notebook runs in a folder of the checkout, so that it works offline; the
    file in the public repository everywhere else (on Colab, say).
    """
    here = Path.cwd()
    if here.parent == ROOT and (ROOT / path).exists():
        return Path(os.path.relpath(ROOT / path, here)).as_posix()
    return f"{REPOSITORY}/blob/main/{path}"


def repository_path(obj: object) -> str | None:
    """Where ``obj`` is written, as a path in the repository; None outside ``dgm``."""
    file = Path(inspect.getsourcefile(inspect.unwrap(obj)) or "").resolve()
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT / "dgm") else None


def _listing(obj: object) -> tuple[str | None, str]:
    """File and dedented source of one class, function or method."""
    try:
        return repository_path(obj), textwrap.dedent(inspect.getsource(obj)).rstrip()
    except (TypeError, OSError) as error:
        name = getattr(obj, "__qualname__", repr(obj))
        raise ValueError(
            f"obj: no Python source found for {name}; expected a class, function or method "
            f"written in a file (not an instance or a built-in): {error}"
        ) from error


def source(obj: object, *more: object):
    """Show the source that runs, highlighted, with links to its file.

    Parameters
    ----------
    obj, *more : classes, functions or methods; neighbours from one file share a listing.

    Returns
    -------
    IPython.display.Markdown

    Raises
    ------
    ValueError : where an object has no Python source.
    """
    from IPython.display import Markdown

    groups: list[tuple[str | None, list[str]]] = []
    for shown in (obj, *more):
        path, text = _listing(shown)
        if path:  # lets `make notebooks` see what the page shows
            sys.audit("dgm.plot.source", path, inspect.unwrap(shown).__qualname__)
        if groups and groups[-1][0] == path:
            groups[-1][1].append(text)
        else:
            groups.append((path, [text]))
    blocks = []
    for path, texts in groups:
        code = "\n\n\n".join(texts)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
        if path:
            local, public = href(path), f"{REPOSITORY}/blob/main/{path}"
            near = f"[`{path}`]({local}) · " if local != public else f"`{path}` · "
            blocks.append(f"{near}[on GitHub]({public})")
        blocks.append(f"{fence}python\n{code}\n{fence}")
    return Markdown("\n\n".join(blocks))


def _frame(frame: object, k: int) -> Image.Image:
    """One frame as an image; a pyplot figure is closed, so the cell does not show it again."""
    if isinstance(frame, Figure):
        from matplotlib import pyplot

        image = pixels(frame)
        pyplot.close(frame)
        return image
    array = np.asarray(frame)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise ValueError(
            f"frames[{k}]: got {type(frame).__name__} of shape {array.shape}; expected a "
            "matplotlib figure or an array (H, W) or (H, W, 3)"
        )
    if array.dtype != np.uint8:
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"frames[{k}]: values must be uint8 or lie in 0..1 and be finite")
        array = (array * 255).round().astype(np.uint8)
    return Image.fromarray(array).convert("RGB")


def _webp(image: Image.Image, share: float, quality: int) -> str:
    """A data address of the image at ``share`` of its size; quality 100 is lossless."""
    if share < 1:
        size = round(image.width * share), round(image.height * share)
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=quality == 100, quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


COARSER = [
    (1, 85),
    (0.75, 80),
    (0.5, 75),
    (0.5, 50),
]  # share of two pixels per CSS pixel, WebP quality
SLIDER = Path(__file__).with_name("slider.html")


def slider(
    frames: Iterable[object], labels: Sequence[object] | None = None, title: str = "",
    alt: str = "", start: int = 0, limit: int = 400_000,
):  # fmt: skip
    """A figure the reader can move: precomputed frames behind a native range control.

    Self-contained HTML; without JavaScript the frame ``start`` stays as a still picture.

    Parameters
    ----------
    frames : matplotlib figures (drawn, then closed; a generator keeps one open at a time) or
        arrays (H, W) or (H, W, 3), uint8 or 0..1, all of one size.
    labels : what each frame shows ("t = 0.5"); shown, and spoken by screen readers.
    title : shown above, names the control. alt : says what the picture shows.
    limit : bytes; larger HTML is redrawn coarser (2, 1.5, 1 pixels per CSS pixel).

    Raises
    ------
    ValueError : no frames, unequal sizes, wrong number of labels, nothing to read aloud, or
        still above ``limit``.
    """
    from IPython.display import HTML

    images = [_frame(frame, k) for k, frame in enumerate(frames)]
    names = [str(name) for name in (labels if labels is not None else range(1, 1 + len(images)))]
    _check_slider(images, names, title, alt, start)
    drawn = images[0].width >= 320  # figures are drawn at two pixels per CSS pixel
    width = images[0].width // 2 if drawn else images[0].width * -(-320 // images[0].width)
    parts = _panels(images) if drawn else []
    for share, quality in COARSER if drawn else [(1, 100)]:
        shown = [_webp(image, share, quality) for image in images]
        page = _slider_page(shown, names, title, alt, start, width, drawn, parts)
        if len(page) <= limit:
            return HTML(page)
    raise ValueError(
        f"frames: {len(images)} frames make {len(page) // 1000} kB of HTML, more than "
        f"{limit // 1000} kB; use fewer or smaller frames"
    )


def _check_slider(images: list, names: list[str], title: str, alt: str, start: int) -> None:
    sizes = sorted({image.size for image in images})
    if len(sizes) != 1:
        raise ValueError(f"frames: expected at least one frame, all of one size; got {sizes}")
    if len(names) != len(images):
        raise ValueError(f"labels: got {len(names)} for {len(images)} frames; expected one each")
    if not 0 <= start < len(images):
        raise ValueError(f"start: got {start}; allowed are 0..{len(images) - 1}")
    if not (title.strip() or alt.strip()):
        raise ValueError("alt: empty; say in words what the picture shows")


def _panels(images: list[Image.Image]) -> list[str]:
    """Where the panels of a wide figure stand, as styles; panels are parted in every frame."""
    white = np.all([white_columns(np.asarray(image)) for image in images], axis=0)
    return styles(cuts(white), images[0].height)


def _slider_page(shown, names, title, alt, start, width, drawn, parts) -> str:
    """Fill slider.html; the id is a hash of the content, so re-running changes nothing."""
    rest = [None if k == start else address for k, address in enumerate(shown)]
    data = json.dumps([rest, names, alt or title]).replace("<", "\\u003c")
    key = hashlib.sha256(f"{shown}{data}{title}".encode()).hexdigest()[:10]
    fields = {
        "KEY": key, "DATA": data, "TITLE": escape(title), "NAME": escape(title or alt),
        "ALT": escape(f"{alt or title}: {names[start]}"), "SRC": shown[start],
        "START": str(start), "WIDTH": str(width),
        "WINDOW": "".join(parts[:1]),
        "PANELS": "".join(f'<img alt="" aria-hidden="true" style="{p}">' for p in parts[1:]),
        "RENDERING": "auto" if drawn else "pixelated",
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda m: fields[m[1]], SLIDER.read_text(encoding="utf-8"))
