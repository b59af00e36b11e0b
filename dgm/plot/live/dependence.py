"""Click a pixel and see which others its prediction depends on, in the trained network itself.

The dependence is measured, not read off the masks: one pixel is changed by half the grey scale, and
the share of probability that moves at every other place is noted (total variation).
"""

import base64
import io
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dgm.plot.live.frame import live

SMALLEST = 1e-5  # below it float32 tells no change from rounding


@torch.no_grad()
def moved_probability(model: nn.Module, pictures: Tensor, at_once: int = 512) -> Tensor:
    """How far a change of pixel s moves the prediction of pixel t, (D, D) in 0..1.

    Row t, column s: the total variation between p(x_t | before) with pixel s as it is and moved by
    half the levels, averaged over ``pictures`` (n, 1, H, W). ``model`` maps them to log masses
    (n, 1, H, W, levels) and is to be in eval mode.

    Raises
    ------
    ValueError
        The pictures have several channels, or the model gives other than log masses of levels.
    """
    levels, dims = model.data.levels, model.data.dims
    if pictures.ndim != 4 or pictures.shape[1] != 1:
        raise ValueError(f"pictures must be (n, 1, H, W), got {tuple(pictures.shape)}")
    flat = pictures.long().flatten(1)  # (n, D)
    before = model(pictures)
    if before.shape[-1] != levels:
        raise ValueError(f"model must give log masses of {levels} levels, got {before.shape[-1]}")
    before = before.flatten(1, -2).exp()  # (n, D, levels)
    columns = []
    for places in torch.arange(dims).split(max(1, at_once // len(flat))):
        changed = flat.repeat(len(places), 1, 1)  # (places, n, D)
        rows = torch.arange(len(places))
        changed[rows, :, places] = (changed[rows, :, places] + levels // 2) % levels
        after = model(changed.view(-1, *pictures.shape[1:]).to(pictures.dtype)).flatten(1, -2).exp()
        after = after.view(len(places), len(flat), dims, levels)
        columns.append((after - before).abs().sum(-1).mean(1) / 2)  # (places, D)
    return torch.cat(columns).T


def _sheet(moved: Tensor, shades: int) -> str:
    """The matrix as a grey picture, PNG in base64: square roots, 0 only where nothing moves."""
    code = (moved.sqrt() * (shades - 1)).round().clamp(min=1) * (255 // (shades - 1))
    code[moved < SMALLEST] = 0
    buffer = io.BytesIO()
    Image.fromarray(code.numpy().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def dependence(
    models: Mapping[str, nn.Module], pictures: Tensor, start: tuple[int, int] | None = None,
    title: str = "What does the prediction of a pixel depend on?", limit: int = 600_000,
):  # fmt: skip
    """One square for each model: click a pixel, and what its prediction depends on lights up.

    Parameters
    ----------
    models : name -> autoregressive model of pictures (1, H, W), in eval mode, in raster order.
    pictures : (n, 1, H, W), as stored; a handful is enough. Costs n H W evaluations a model.
    start : row and column chosen first; low on the left when left out.
    limit : bytes of the HTML; pictures of more than 256 pixels are shown in 52 shades.

    Raises
    ------
    ValueError : start outside the picture, or too large a page.
    """
    height, width = pictures.shape[2:]
    start = (5 * height // 8, width // 8) if start is None else start
    if not (0 <= start[0] < height and 0 <= start[1] < width):
        raise ValueError(f"start must lie in the {height} x {width} picture, got {start}")
    # measured, then as the page reads it
    found = {name: moved_probability(model, pictures) for name, model in models.items()}
    shades = 256 if height * width <= 256 else 52
    data = {
        "shape": [height, width], "start": list(start),
        "most": max(m.max().item() for m in found.values()) or 1.0,
        "models": [{"name": name, "sheet": _sheet(m, shades)} for name, m in found.items()],
    }  # fmt: skip
    alt = "The pixels that the prediction of a chosen pixel depends on, for each of: " + ", ".join(
        found
    )
    page = live("dependence", data, title, alt)
    if len(page.data) > limit:
        raise ValueError(f"models: {len(page.data) // 1000} kB of HTML, over {limit // 1000} kB")
    return page
