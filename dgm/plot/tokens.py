"""Pictures of sequences: characters and their cost, what attention looks at."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from dgm.plot.figure import DENSITY


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
