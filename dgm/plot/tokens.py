"""Pictures of sequences: characters and their cost, what attention looks at, what taps reach."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from dgm.plot.figure import COLORS, DENSITY


def characters(letters: str, bits: Tensor, columns: int = 40, most: float = 14.0) -> Figure:
    """A text as a grid of characters, the darker the more ``bits`` (T,) each one cost.

    A line break is drawn as an arrow and does not break the grid; ``most`` bits are darkest.
    """
    if bits.shape != (len(letters),) or not letters:
        raise ValueError(f"bits: got shape {tuple(bits.shape)} for {len(letters)} characters")
    rows = -(-len(letters) // columns)
    shade = pad(bits.detach().cpu(), (0, rows * columns - len(letters)))
    fig, ax = plt.subplots(figsize=(5.8, 0.26 * rows + 0.2))
    ax.imshow(shade.view(rows, columns).numpy(), cmap="Oranges", vmin=0, vmax=most, aspect="auto")
    for k, letter in enumerate(letters.replace("\n", "↵")):
        place = k % columns, k // columns
        ax.text(*place, letter, family="DejaVu Sans Mono", fontsize=10, ha="center", va="center")
    ax.set_axis_off()
    return fig


def attention(weights: Tensor, letters: str) -> Figure:
    """Attention weights (T, T), row t looking back at columns 0 .. t, with a sign for each place.

    Colour is the square root of the weight, so that faint ones are seen.
    """
    if weights.shape != (len(letters), len(letters)):
        raise ValueError(f"weights: got {tuple(weights.shape)} for {len(letters)} letters")
    fig, ax = plt.subplots(figsize=(5.2, 5.2))
    ax.imshow(weights.detach().cpu().sqrt().numpy(), cmap=DENSITY, vmin=0, vmax=1)
    for axis in (ax.set_xticks, ax.set_yticks):
        axis(range(len(letters)), letters.replace("\n", "↵"), family="DejaVu Sans Mono", fontsize=8)
    ax.set(xlabel="looks at", ylabel="position")
    ax.grid(False)
    return fig


def dilation_tree(n_layers: int, width: int = 64, height: int | None = None) -> Figure:
    """Which outputs of each layer the last position uses, with dilations 1, 2, 4 ..., two taps."""
    fig, ax = plt.subplots(figsize=(5.6, 2.8))
    used = {width - 1}
    for layer in range(n_layers, -1, -1):
        ax.scatter(range(width), [layer] * width, s=5, color="#D5D8DB", zorder=1)
        ax.scatter(list(used), [layer] * len(used), s=16, color=COLORS[0], zorder=3)
        if layer:
            taps = [(t, t - by) for t in used for by in (0, 2 ** (layer - 1))]
            for t, s in taps:
                ax.plot([s, t], [layer - 1, layer], color=COLORS[5], linewidth=0.7)
            used = {s for _, s in taps if s >= 0}
    top = (n_layers if height is None else height) + 0.4
    ax.set(xlim=(-1, width), ylim=(-0.4, top), xlabel="position", ylabel="layer")
    ax.grid(False)
    return fig
