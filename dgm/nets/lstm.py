"""A long short-term memory as a causal network: all of the past in one state of fixed size.

Hochreiter & Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735; the forget gate and its start near
one: Gers et al. (2000), doi:10.1162/089976600300015015. Needs torch only.
"""

import torch
from torch import Tensor, nn


class RecurrentBackbone(nn.Module):
    """Layers of LSTM cells, (B, T, width) -> (B, T, width); position t uses positions 0 .. t.

    The state is of one size however long the past is: a step costs the same at any length, but
    training must walk through the positions one after the other.

    Examples
    --------
    >>> net = RecurrentBackbone(width=8, n_layers=2)
    >>> net(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, n_layers: int = 1, dropout: float = 0.0):
        super().__init__()
        if min(width, n_layers) < 1:
            raise ValueError(f"width and n_layers are at least 1, got {width} and {n_layers}")
        self.width = width
        between = dropout if n_layers > 1 else 0.0
        self.cells = nn.LSTM(width, width, n_layers, batch_first=True, dropout=between)
        with torch.no_grad():
            for k in range(n_layers):  # gates stand in the order input, forget, cell, output
                getattr(self.cells, f"bias_ih_l{k}")[width : 2 * width].fill_(1.0)

    def forward(self, h: Tensor) -> Tensor:
        """All positions of h (B, T, width), from an empty memory."""
        return self.cells(h)[0]

    def step(self, h: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple]:
        """One position (B, width) and the memory (hidden and cell, each (n_layers, B, width))."""
        out, state = self.cells(h[:, None], state)
        return out[:, 0], state
