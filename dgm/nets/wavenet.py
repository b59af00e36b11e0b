"""WaveNet: dilated causal convolutions, whose memory doubles with every layer.

Van den Oord et al. (2016), arXiv:1609.03499, section 2 (eq. 2 is the gate); sampling from queues:
Paine et al. (2016), arXiv:1611.09482. Needs torch only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def receptive_field(dilations: list[int], kernel_size: int = 2) -> int:
    """Positions that one output can see through causal convolutions: 1 + (k - 1) sum of dilations.

    >>> receptive_field([2**i for i in range(10)])
    1024
    """
    return 1 + (kernel_size - 1) * sum(dilations)


def delayed(h: Tensor, by: int) -> Tensor:
    """h (B, T, C) moved ``by`` positions into the future, zeros before the beginning."""
    return torch.cat((torch.zeros_like(h[:, :by]), h[:, :-by]), 1)  # (B, T, C), also for by > T


class GatedResidualBlock(nn.Module):
    """A causal convolution of two taps, ``dilation`` apart, then gate, residual and skip.

    z = tanh(W_f * h) sigmoid(W_g * h); the block adds a mixture of z to h and gives another one
    away as its skip. A kernel of two taps is a linear map of the two stacked inputs. The last block
    of a stack has nobody to pass a residual to.
    """

    def __init__(self, width: int, dilation: int, dropout: float = 0.0, last: bool = False):
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.residual = None if last else nn.Linear(width, width)
        self.skip = nn.Linear(width, width)

    def _gated(self, past: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
        """Features (..., C) at t - dilation and at t -> new features and skip (..., C)."""
        f, g = self.taps(torch.cat((past, now), -1)).chunk(2, -1)
        z = self.dropout(torch.tanh(f) * torch.sigmoid(g))
        return now if self.residual is None else now + self.residual(z), self.skip(z)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """All positions at once: h (B, T, C) -> new features and skip, (B, T, C) each."""
        return self._gated(delayed(h, self.dilation), h)

    def step(self, h: Tensor, queue: list[Tensor]) -> tuple[Tensor, Tensor]:
        """One position (B, C). ``queue`` holds the last ``dilation`` inputs, oldest first."""
        past = queue.pop(0)
        queue.append(h)
        return self._gated(past, h)


class WaveNet(nn.Module):
    """Blocks with dilations 1, 2, 4 .. 2^(n_layers - 1), ``n_blocks`` times over; skips summed.

    Causal features: out (B, T, width) at t depends on h at t - receptive_field + 1 .. t. Where
    ``n_layers`` is a sequence, it holds the dilations themselves: with 28 among them a picture 28
    wide has its row above one layer away.

    Note: a stack of `GatedResidualBlock` with ReLU, 1x1, ReLU behind it; the second 1x1 of the
    paper, to logits, belongs to the model that uses it.

    Examples
    --------
    >>> net = WaveNet(width=8, n_layers=3, n_blocks=2)
    >>> net(torch.zeros(1, 20, 8)).shape, net.receptive_field
    (torch.Size([1, 20, 8]), 15)
    """

    def __init__(
        self,
        width: int,
        n_layers: int | Sequence[int],
        n_blocks: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        # the dilations of all layers
        layers = n_layers
        if isinstance(n_layers, int):
            layers = [2**i for i in range(n_layers)]
        if min(width, n_blocks, len(layers), *layers) < 1:
            raise ValueError(
                "width, n_layers (or every dilation) and n_blocks must be at least 1, "
                f"got {width}, {n_layers} and {n_blocks}"
            )
        dilations = [*layers] * n_blocks
        # a block for each
        self.width = width
        last = len(dilations) - 1
        self.blocks = nn.ModuleList(
            GatedResidualBlock(width, d, dropout, last=k == last) for k, d in enumerate(dilations)
        )
        self.out = nn.Linear(width, width)

    @property
    def receptive_field(self) -> int:
        """How many inputs, the present one included, an output depends on."""
        return receptive_field([block.dilation for block in self.blocks])

    def forward(self, h: Tensor) -> Tensor:
        """All positions at once: h (B, T, width) -> (B, T, width)."""
        total = 0.0
        for block in self.blocks:
            h, skip = block(h)
            total = total + skip
        return self.out(total.relu()).relu()

    def step(self, h: Tensor, state: list[list[Tensor]] | None) -> tuple[Tensor, list]:
        """One position (B, width) and the queues of all blocks (None: before the beginning)."""
        if state is None:
            state = [[torch.zeros_like(h)] * block.dilation for block in self.blocks]
        total = 0.0
        for block, queue in zip(self.blocks, state, strict=True):
            h, skip = block.step(h, queue)
            total = total + skip
        return self.out(total.relu()).relu(), state
