"""Row LSTM and Diagonal BiLSTM: recurrent layers that run down an image, or along its diagonals.

van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, sections 3.1-3.3, eq. 3. Layers
for the stack of pixelcnn.py, after a first layer that is strictly causal. Needs torch only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Gates (B, 4 width, ...) before their nonlinearities and memory c -> h and the new c."""
    o, f, i, g = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def skew(x: Tensor) -> Tensor:
    """Push row i to the right by i: (B, C, H, W) -> (B, C, H, W + H - 1), zeros elsewhere.

    A column of the result is a diagonal of x: the pixels (i, t - i).

    >>> skew(torch.tensor([[[[1, 2], [3, 4]]]]))[0, 0].tolist()
    [[1, 2, 0], [0, 3, 4]]
    """
    height, width = x.shape[2:]
    wide = F.pad(x, (0, height)).flatten(2)  # rows of W + H, read on as rows one shorter
    return wide[..., : height * (width + height - 1)].unflatten(2, (height, -1))


def unskew(x: Tensor) -> Tensor:
    """Undo `skew`: (B, C, H, W + H - 1) -> (B, C, H, W)."""
    height, long = x.shape[2:]
    flat = F.pad(x.flatten(2), (0, height))
    return flat.unflatten(2, (height, long + 1))[..., : long - height + 1]


class RowLSTM(nn.Module):
    """An LSTM that takes a whole row per step: its state is a row of cells.

    Gates = convolution of this row up to each place + convolution of the state of the row above.
    A place sees a triangle above it, so parts of the context stay out of sight. (B, width, H, W) ->
    the same.
    """

    def __init__(self, width: int, kernel: int = 3):
        super().__init__()
        if width < 1 or kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"width >= 1 and kernel odd and at least 1, got {width} and {kernel}")
        self.reach = kernel // 2
        self.from_input = nn.Conv2d(width, 4 * width, (1, self.reach + 1))
        self.from_state = nn.Conv1d(width, 4 * width, kernel, padding=self.reach, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, width, H, W) -> h (B, width, H, W)."""
        gates = self.from_input(F.pad(x, (self.reach, 0)))  # (B, 4 width, H, W)
        h = c = torch.zeros_like(x[:, :, 0])
        rows = []
        for i in range(x.shape[2]):
            h, c = lstm_cell(gates[:, :, i] + self.from_state(h), c)
            rows.append(h)
        return torch.stack(rows, 2)


class DiagonalLSTM(nn.Module):
    """An LSTM that takes a diagonal per step: each cell reads those on its left and above it.

    (B, width, H, W) -> the same; place (i, j) sees all of the rectangle above and to the left.
    """

    def __init__(self, width: int):
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.from_input = nn.Conv2d(width, 4 * width, 1)
        self.from_state = nn.Conv1d(width, 4 * width, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, width, H, W) -> h (B, width, H, W)."""
        gates = skew(self.from_input(x))  # (B, 4 width, H, W + H - 1)
        h = c = torch.zeros_like(x[..., 0])  # (B, width, H)
        diagonals = []
        for t in range(gates.shape[-1]):
            both = self.from_state(F.pad(h, (1, 0)))  # row i from rows i - 1 and i of t - 1
            h, c = lstm_cell(gates[..., t] + both, c)
            diagonals.append(h)
        return unskew(torch.stack(diagonals, -1))


class DiagonalBiLSTM(nn.Module):
    """One diagonal LSTM from the left and one from the right: together all earlier pixels, but one.

    What comes from the right is shifted down a row before the two are added: at (i, j) it would
    have used (i, j + 1), which the first layer made out of pixel (i, j) itself. So it ends in row
    i - 1, where no feature has used the last pixel of that row yet: this one stays out of sight.
    """

    def __init__(self, width: int):
        super().__init__()
        self.left, self.right = DiagonalLSTM(width), DiagonalLSTM(width)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, width, H, W) -> h (B, width, H, W)."""
        right = self.right(x.flip(3)).flip(3)
        return self.left(x) + F.pad(right, (0, 0, 1, 0))[:, :, :-1]
