"""What a picture costs, pixel by pixel, and a picture while it is drawn."""

from collections.abc import Iterator

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from dgm.plot.draw import images
from dgm.plot.figure import COLORS

UNDRAWN = 0.45  # the grey of a pixel that is not there yet


def cost_maps(x: Tensor, bits: Tensor, levels: int, most: float = 8.0) -> Figure:
    """Pictures above their cost: one column each, and a scale in bits, dark is dear.

    Parameters
    ----------
    x : (N, 1, H, W), values 0 .. levels - 1. bits : (N, H, W), what each pixel costs.
    most : bits shown darkest.

    Raises
    ------
    ValueError : pictures and costs of unequal size.
    """
    n, _, height, width = x.shape
    if bits.shape != (n, height, width):
        raise ValueError(f"bits: got {tuple(bits.shape)}; expected {(n, height, width)}")
    fig, axes = plt.subplots(2, n, figsize=(1.15 * n + 0.5, 2.6), squeeze=False)
    for k in range(n):
        axes[0, k].imshow(x[k, 0].numpy(), vmin=0, vmax=levels - 1)
        shown = axes[1, k].imshow(bits[k].numpy(), cmap="Oranges", vmin=0, vmax=most)
        axes[1, k].set_title(f"{bits[k].sum():.0f} bits", fontsize=9, loc="center", weight="normal")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
    bar = fig.colorbar(shown, ax=axes, label="bits a pixel", shrink=0.8, extend="max")
    bar.outline.set_visible(False)
    return fig


def drawing_frames(x: Tensor, belief: Tensor, levels: int, step: int = 2) -> Iterator[Figure]:
    """One picture (1, 1, H, W) every ``step`` rows, beside the belief about its label by then.

    Parameters
    ----------
    belief : (H W + 1, K), p(y | the first t pixels) for t = 0 to all.

    Raises
    ------
    ValueError : not one picture, or not one belief more than pixels.
    """
    _, _, height, width = x.shape
    if len(x) != 1 or len(belief) != height * width + 1:
        raise ValueError(f"got {len(x)} pictures and {len(belief)} beliefs for {height * width}")
    rows = torch.arange(height).view(1, 1, height, 1)
    for done in range(0, height + 1, step):
        fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.6), width_ratios=(1, 1.5))
        images(torch.where(rows < done, x / (levels - 1), UNDRAWN), ax=axes[0])
        axes[1].bar(range(belief.shape[1]), belief[done * width].tolist(), color=COLORS[0])
        axes[1].set(xticks=range(belief.shape[1]), ylim=(0, 1), xlabel="label", ylabel="belief")
        yield fig
