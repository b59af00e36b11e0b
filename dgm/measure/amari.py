"""How well a mixing matrix was undone, whatever the order and the scale of the sources.

Amari, Cichocki & Yang (1996), A New Learning Algorithm for Blind Signal Separation, eq. 11. Needs
torch only.
"""

from torch import Tensor


def amari_index(product: Tensor) -> Tensor:
    """How far ``product`` = unmixing @ mixing (D, D) is from a scaled permutation: 0 (is one) to 1.

    The performance index of the paper, divided by 2 D (D - 1). A turn of two sources by an angle of
    at most pi / 4 scores its tangent, so that the mean over all turns is 2 log(2) / pi = 0.441.

    Raises
    ------
    ValueError
        ``product`` is no square matrix with D > 1, or has a row or column of zeros.

    Examples
    --------
    >>> import torch
    >>> amari_index(torch.tensor([[0.0, -3.0], [0.5, 0.0]]))  # swapped and scaled: nothing lost
    tensor(0.)
    """
    p = product.abs()
    if p.ndim != 2 or p.shape[0] != p.shape[1] or len(p) < 2:
        raise ValueError(f"product must be (D, D) with D > 1, got {tuple(product.shape)}")
    if not (p.amax(0) > 0).all() or not (p.amax(1) > 0).all():
        raise ValueError("product must have no row or column of zeros (or NaN)")
    rows, columns = p / p.amax(1, keepdim=True), p / p.amax(0, keepdim=True)
    return (rows.sum() + columns.sum() - 2 * len(p)) / (2 * len(p) * (len(p) - 1))
