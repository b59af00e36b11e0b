"""A causal stack over the places of a grey picture as a network over rows of reals.

van den Oord et al. (2016), arXiv:1606.05328, for the stacks (gated_pixelcnn.py); real values in
the place of levels. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class RasterNetwork(nn.Module):
    """(B, H W) -> (B, H W, out_features); row t from values before t only, in raster order.

    Parameters
    ----------
    stack : nn.Module
        Causal: (B, 2, H, W) -> (B, stack.width, H, W), each place from strictly earlier ones. It
        sees each value and its tanh.
    place : (int, int)
        (H, W).
    out_features : int
        Numbers for each value; all are zero at first.
    dropout : float
        Of the last features, in training only.

    Examples
    --------
    >>> from dgm.nets.gated_pixelcnn import GatedPixelCNN
    >>> net = RasterNetwork(GatedPixelCNN(2, (2, 4, 4), width=4, blocks=1), (4, 4), 3)
    >>> net(torch.randn(5, 16)).shape
    torch.Size([5, 16, 3])
    """

    def __init__(
        self,
        stack: nn.Module,
        place: tuple[int, int],
        out_features: int,
        dropout: float = 0.0,
    ):
        super().__init__()
        if out_features < 1 or not 0 <= dropout < 1:
            raise ValueError(f"out_features >= 1, 0 <= dropout < 1, got {out_features}, {dropout}")
        self.stack, self.place = stack, tuple(place)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(stack.width, out_features, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Values v (B, H W) -> (B, H W, out_features)."""
        v = v.unflatten(1, (1, *self.place))
        out = self.head(self.dropout(silu(self.stack(torch.cat((v, torch.tanh(v)), 1)))))
        return out.flatten(2).movedim(1, 2)
