"""Spectral normalisation: linear and convolutional layers whose operator norm is held to c < 1.

Power iteration finds the norm from below, so c holds as far as it has converged: use a margin.

Miyato et al. (2018), arXiv:1802.05957; for convolutions Gouk et al. (2018), arXiv:1804.04368; as
used by Behrmann et al. (2019), i-ResNet, arXiv:1811.00995, section 2.1 and eq. 2. Needs torch only.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, normalize


def below_one(coefficient: float) -> float:
    """The coefficient, if it is above 0 and below 1; else a ValueError with the number."""
    if not 0 < coefficient < 1:
        raise ValueError(
            f"coefficient must be above 0 and below 1, got {coefficient}: x + g(x) can be undone "
            "by the fixed point only where g has a Lipschitz constant below 1"
        )
    return coefficient


class SpectralLayer(nn.Module):
    """A linear map A and a shift: x -> s A x + bias with s = min(1, c / |A|), held to c.

    |A| is the largest singular value of the map that is *run*, padding and stride included: power
    iteration goes through the map and its adjoint. In training one step (``n_steps``) a call from
    the vector left by the last call; in eval mode ``n_eval`` steps, and nothing is stored.

    Parameters
    ----------
    weight : Tensor
        Where the weights start.
    in_shape, bias_shape : tuple of int
        Of one input, and of the shift.
    coefficient : float
        c, above 0 and below 1.
    n_steps, n_eval : int
        Steps of power iteration of a call in training and in eval mode.

    Notes
    -----
    Own methods: ``run``, ``adjoint``, ``norm``, ``scaled_weight``.
    """

    def __init__(
        self, weight: Tensor, in_shape: tuple[int, ...], bias_shape: tuple[int, ...],
        coefficient: float, n_steps: int = 1, n_eval: int = 40,
    ):  # fmt: skip
        super().__init__()
        self.coefficient = below_one(coefficient)
        if min(n_steps, n_eval) < 1:
            raise ValueError(f"n_steps and n_eval must be at least 1, got {n_steps} and {n_eval}")
        self.n_steps, self.n_eval = n_steps, n_eval
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(bias_shape))
        self.register_buffer(
            "v", normalize(torch.randn(1, *in_shape).flatten(1)).view(1, *in_shape)
        )
        self.held = None  # see `held`

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """A x, without the shift."""
        raise NotImplementedError

    def adjoint(self, u: Tensor, weight: Tensor) -> Tensor:
        """A^T u."""
        raise NotImplementedError

    def norm(self) -> Tensor:
        """|A| by power iteration: never above it, and differentiable in the weights."""
        with torch.no_grad():
            v = self.v
            for _ in range(self.n_steps if self.training else self.n_eval):
                v = self.adjoint(self.run(v, self.weight), self.weight)
                v = v / v.norm().clamp_min(1e-30)
            if self.training:
                self.v.copy_(v)
        return self.run(v, self.weight).norm()

    def scaled_weight(self) -> Tensor:
        """The weights of s A."""
        if self.held is not None:
            return self.held
        return self.weight * (self.coefficient / self.norm().clamp_min(self.coefficient))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, *in_shape) -> s A x + bias."""
        return self.run(x, self.scaled_weight()) + self.bias


class SpectralLinear(SpectralLayer):
    """A matrix (out, in) whose largest singular value is held to ``coefficient``.

    Examples
    --------
    >>> layer = SpectralLinear(3, 4, coefficient=0.9).eval()
    >>> bool(torch.linalg.matrix_norm(layer.scaled_weight(), 2) < 0.901)
    True
    """

    def __init__(self, n_in: int, n_out: int, coefficient: float, **steps: int):
        start = nn.Linear(n_in, n_out).weight.detach()
        super().__init__(start, (n_in,), (n_out,), coefficient, **steps)

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """x (B, in) -> (B, out)."""
        return linear(x, weight)

    def adjoint(self, u: Tensor, weight: Tensor) -> Tensor:
        """u (B, out) -> (B, in)."""
        return u @ weight


class SpectralConv2d(SpectralLayer):
    """A convolution of images of one size whose operator norm is held to ``coefficient``.

    Parameters
    ----------
    in_shape : tuple of int
        (C, H, W) of the images: the norm depends on it, because of the padding and the stride.
    n_out, kernel, stride, padding
        As in `torch.nn.Conv2d`; zeros are padded, by default what keeps the size at stride 1.
    per_place : bool
        A shift for each channel at each place, not one for each channel.
    """

    def __init__(
        self, in_shape: tuple[int, int, int], n_out: int, kernel: int, coefficient: float,
        stride: int = 1, padding: int | None = None, per_place: bool = False, **steps: int,
    ):  # fmt: skip
        padding = kernel // 2 if padding is None else padding
        reach = [side + 2 * padding - kernel for side in in_shape[1:]]
        places = [side // stride + 1 for side in reach]
        start = nn.Conv2d(in_shape[0], n_out, kernel).weight.detach()
        bias_shape = (n_out, *(places if per_place else (1, 1)))
        super().__init__(start, tuple(in_shape), bias_shape, coefficient, **steps)
        self.stride, self.padding = stride, padding
        self.left_over = tuple(side % stride for side in reach)  # what no window begins at

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, n_out, H', W')."""
        return conv2d(x, weight, stride=self.stride, padding=self.padding)

    def adjoint(self, u: Tensor, weight: Tensor) -> Tensor:
        """u (B, n_out, H', W') -> (B, C, H, W)."""
        how = dict(stride=self.stride, padding=self.padding, output_padding=self.left_over)
        return conv_transpose2d(u, weight, **how)


@contextmanager
def held(net: nn.Module) -> Iterator[None]:
    """Within this block the layers of ``net`` keep their scaled weights: no power iteration."""
    layers = [part for part in net.modules() if isinstance(part, SpectralLayer)]
    for layer in layers:
        layer.held = layer.scaled_weight().detach()
    try:
        yield
    finally:
        for layer in layers:
            layer.held = None
