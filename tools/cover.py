"""Draw the picture of README and front page: walks through the latent space of a trained flow.

python tools/cover.py      (after make train N=13)

Each row goes from one test digit to the next by spherical interpolation in latent space; every tile
between them is an image the flow decodes, none is in the data.
"""

import itertools
import pathlib

import torch
from matplotlib import pyplot as plt
from PIL import Image

from dgm import data, zoo
from dgm.measure.slerp import slerp

PICTURE = pathlib.Path(__file__).resolve().parents[1] / "book/static/cover.png"
ROWS = ((0, 6, 8), (3, 5, 9), (1, 4, 7), (8, 2, 3), (9, 7, 1))  # the digits each row visits
NIGHT = "#0b1020"


@torch.no_grad()
def walks(steps=6):
    """(rows, columns, 8, 8) images between test digits, as the flow sees them."""
    torch.manual_seed(0)
    digits, model = data.load("digits"), zoo.load("flowpp", "digits")
    rows = []
    for labels in ROWS:
        ends = model.encode(torch.stack([digits.test[digits.test_y == k][2] for k in labels]))
        shares = torch.linspace(0, 1, steps + 1)[:-1]
        legs = [slerp(a, b, shares) for a, b in itertools.pairwise(ends)]
        path = torch.cat([*legs, ends[-1:]])
        rows.append(model.flow.inverse(path)[:, 0].clamp(0, 17))
    return torch.stack(rows)


def main():
    images = walks()
    n_rows, n_columns = images.shape[:2]
    size = (0.8 * n_columns, 0.8 * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, facecolor=NIGHT)
    for ax, image in zip(axes.flat, images.flatten(0, 1), strict=True):
        ax.imshow(image, cmap="magma", vmin=-1.5, vmax=17, interpolation="bicubic")
        ax.axis("off")
    figure.subplots_adjust(0.012, 0.03, 0.988, 0.97, 0.08, 0.08)
    figure.savefig(PICTURE, dpi=130, facecolor=NIGHT)
    Image.open(PICTURE).convert("RGB").quantize(128).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
