"""Pixel models, healthy and with planted faults: masked convolutions and two stacks."""

import torch
from planted import CHAIN, COND, LEAK, ONE, healthy, planted
from planted_autoregressive import (
    Backwards,
    Chain,
    FirstNotCounted,
    MeanOverTime,
    OfClass,
    TemperedDraw,
    TemperedLogProb,
    pixels,
)
from torch import nn
from torch.nn.functional import pad


class MaskedConv(nn.Conv2d):
    """A 3 x 3 convolution that sees rows above and pixels to the left; of type B also itself."""

    def __init__(self, inputs, outputs, kind):
        super().__init__(inputs, outputs, 3, padding=1)
        mask = torch.ones(3, 3)
        mask[1, 1 + (kind == "B") :] = 0
        mask[2] = 0
        self.register_buffer("mask", mask)

    def forward(self, h):
        return self._conv_forward(h, self.weight * self.mask, self.bias)


class Pixels(nn.Module):
    """PixelCNN: rows of one-hot pixels (B, H W, levels) to logits; the mask type of each layer."""

    def __init__(self, side, levels, kinds="AB", width=8):
        super().__init__()
        self.side = side
        sizes = [levels] + [width] * (len(kinds) - 1) + [levels]
        self.layers = nn.ModuleList(map(MaskedConv, sizes[:-1], sizes[1:], kinds))

    def forward(self, h):
        h = h.mT.unflatten(2, (self.side, self.side))
        for i, layer in enumerate(self.layers):
            h = layer(h if i == 0 else h.tanh())
        return h.flatten(2).mT


class TwoStacks(nn.Module):
    """Gated PixelCNN without its gates: a stack for the rows above, one for the row itself."""

    above = 2

    def __init__(self, side, levels, width=8):
        super().__init__()
        self.side = side
        self.vertical = nn.Conv2d(levels, width, (2, 3))
        self.horizontal = nn.Conv2d(levels, width, (1, 2))
        self.head = nn.Conv2d(width, levels, 1)

    def forward(self, h):
        h = h.mT.unflatten(2, (self.side, self.side))
        v = self.vertical(pad(h, (1, 1, self.above, 0)))[:, :, : self.side]
        w = self.horizontal(pad(h, (2, 0)))[:, :, :, :-1]
        return self.head((v + w).tanh()).flatten(2).mT


def wide(model=Chain, side=6, levels=5):
    """Too many states to enumerate."""
    return model(TwoStacks(side, levels), (1, side, side), levels), pixels(side, levels), {}


# --- healthy models -------------------------------------------------------------------------------


@healthy
def pixelcnn_3x3():
    return Chain(Pixels(3, 2), (1, 3, 3), 2), pixels(3, 2), {}


@healthy
def two_stacks_3x3():
    return Chain(TwoStacks(3, 2), (1, 3, 3), 2), pixels(3, 2), {}


@healthy
def two_stacks_6x6():
    return wide()


@healthy
def pixelcnn_of_a_class():
    return OfClass(Pixels(2, 3), (1, 2, 2), 3), pixels(), {"y": torch.arange(8) % 2}


# --- planted faults -------------------------------------------------------------------------------


@planted(LEAK, ONE)
def mask_b_in_the_first_layer():
    return Chain(Pixels(3, 2, "BB"), (1, 3, 3), 2), pixels(3, 2), {}


@planted(LEAK)
def mask_b_in_the_first_layer_6x6():
    return Chain(Pixels(6, 5, "BB"), (1, 6, 6), 5), pixels(6, 5), {}


@planted(LEAK)
def all_layers_mask_everything():
    chain = Chain(Pixels(3, 2, "AB"), (1, 3, 3), 2)
    chain.net.layers[0].mask.zero_()
    return chain, pixels(3, 2), {}


class VerticalNotShifted(TwoStacks):
    above = 1


@planted(LEAK, ONE)
def vertical_stack_not_shifted():
    return Chain(VerticalNotShifted(3, 2), (1, 3, 3), 2), pixels(3, 2), {}


@planted(LEAK)
def vertical_stack_not_shifted_6x6():
    return Chain(VerticalNotShifted(6, 5), (1, 6, 6), 5), pixels(6, 5), {}


@planted(CHAIN)
def first_variable_not_counted_6x6():
    return wide(FirstNotCounted)


@planted(CHAIN)
def mean_over_time_6x6():
    return wide(MeanOverTime)


@planted(CHAIN)
def temperature_left_in_log_prob_6x6():
    return wide(TemperedLogProb)


@planted(COND)
def reversed_generation_6x6():
    return wide(Backwards)


@planted(COND)
def temperature_left_in_sampling_6x6():
    return wide(TemperedDraw)
