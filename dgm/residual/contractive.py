"""Networks whose Lipschitz constant stays below one: plain, and densely connected.

Plain: Chen et al. (2019), Residual flows, arXiv:1906.02735, appendix E. Dense with learned
concatenation: Perugachi-Diaz, Tomczak and Bhulai (2021), i-DenseNets, arXiv:2102.02694, section 3.
Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def _of_each(coefficient: float, n: int) -> float:
    """The n-th root, what each of n layers in a row may stretch by."""
    if not 0 < coefficient < 1:
        raise ValueError(f"coefficient of a net must be above 0 and below 1, got {coefficient}")
    return coefficient ** (1 / n)


class Contractive(nn.Module):
    """Layers with an activation between them: (B, C, ...) -> (B, C, ...).

    Parameters
    ----------
    widths : sequence of int
        Channels before, between and after the layers.
    layer : callable
        ``layer(i, n_in, n_out, coefficient)`` makes the i-th; its operator norm is at most that.
    activation : callable
        Makes one whose slope is at most 1; ``growth`` says how many channels it makes of one.
    coefficient : float
        Of the whole net; each of n layers gets its n-th root.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        layer: Callable[[int, int, int, float], nn.Module],
        activation: Callable[[], nn.Module],
        coefficient: float,
        growth: int = 1,
    ):
        super().__init__()
        n = len(widths) - 1
        each, parts = _of_each(coefficient, n), []
        for i in range(n):
            n_in = widths[i] * (growth if i else 1)
            parts += [layer(i, n_in, widths[i + 1], each), activation()]
        self.parts = nn.Sequential(*parts[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, ...) -> g(x) (B, C, ...)."""
        return self.parts(x)


class LearnedConcat(nn.Module):
    """[eta_1 h ; eta_2 f(h)] with eta_1^2 + eta_2^2 = 1: at most the slope of its parts.

    Without the two factors h and f(h) side by side could stretch by the square root of two.
    """

    def __init__(self, f: nn.Module):
        super().__init__()
        self.f, self.share = f, nn.Parameter(torch.zeros(2))

    def etas(self) -> Tensor:
        """The two factors, a unit vector."""
        positive = softplus(self.share) + 0.1
        return positive / positive.norm()

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, ...) -> (B, C + C', ...)."""
        keep, add = self.etas()
        return torch.cat((keep * h, add * self.f(h)), dim=1)


class DenseContractive(nn.Module):
    """A dense block: every layer sees what all before it made; a last layer comes back to C.

    Parameters
    ----------
    channels, grown, depth : int
        C; what each of ``depth`` layers adds, before its activation makes ``growth`` times as many.
    layer, activation, coefficient, growth
        As in `Contractive`.
    """

    def __init__(
        self,
        channels: int,
        grown: int,
        depth: int,
        layer: Callable[[int, int, int, float], nn.Module],
        activation: Callable[[], nn.Module],
        coefficient: float,
        growth: int = 2,
    ):
        super().__init__()
        each, width, parts = _of_each(coefficient, depth + 1), channels, []
        for i in range(depth):
            parts.append(LearnedConcat(nn.Sequential(layer(i, width, grown, each), activation())))
            width += growth * grown
        self.parts = nn.Sequential(*parts, layer(depth, width, channels, each))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, ...) -> g(x) (B, C, ...)."""
        return self.parts(x)
