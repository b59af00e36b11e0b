"""Rational-quadratic splines: an increasing map of the line with as many knots as you like.

Durkan, Bekasov, Murray and Papamakarios (2019), Neural spline flows, arXiv:1906.04032, eqs. 4-8;
Gregory and Delbourgo (1982), doi:10.1093/imanum/2.2.123. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softmax, softplus


def _pieces(value: Tensor, knots: Tensor, table: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """For each value (...,) the piece it lies in: entries of tables (..., K + 1) at both its ends.

    Of a table: its value at the left end and what it gains up to the right end.
    """
    at = (value.unsqueeze(-1) >= knots[..., 1:-1]).sum(-1, keepdim=True)  # (..., 1), 0 .. K - 1
    found = []
    for each in table:
        each = each.expand(*value.shape, -1)
        left = each.gather(-1, at).squeeze(-1)
        found += [left, each.gather(-1, at + 1).squeeze(-1) - left]
    return tuple(found)


def spline_forward(x: Tensor, knots: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """y and log dy/dx, both like x (...,); outside of the knots y = x.

    ``knots``: places x_k, heights y_k and slopes there, (..., K + 1) each, ascending; the slopes
    at both ends are 1, and both ends lie on the diagonal.
    """
    places, heights, slopes = knots
    inside = (x > places[..., 0]) & (x < places[..., -1])
    safe = torch.where(inside, x, places[..., 0])
    x0, width, y0, height, d0, gain = _pieces(safe, places, (places, heights, slopes))
    # equations 4 and 5 of the paper; s is the mean slope of the piece
    s, u = height / width, (safe - x0) / width
    bend = u * (1 - u)
    below = s + (2 * d0 + gain - 2 * s) * bend
    y = y0 + height * (s * u.square() + d0 * bend) / below
    above = (d0 + gain) * u.square() + 2 * s * bend + d0 * (1 - u).square()
    log_slope = 2 * s.log() + above.log() - 2 * below.log()
    return torch.where(inside, y, x), torch.where(inside, log_slope, torch.zeros_like(x))


def spline_inverse(y: Tensor, knots: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The x that `spline_forward` brings to y (...,): a quadratic equation in each piece."""
    places, heights, slopes = knots
    inside = (y > heights[..., 0]) & (y < heights[..., -1])
    safe = torch.where(inside, y, heights[..., 0])
    x0, width, y0, height, d0, gain = _pieces(safe, heights, (places, heights, slopes))
    # equations 6 to 8 of the paper, in the form of the root that does not cancel
    s, rise = height / width, safe - y0
    curve = 2 * d0 + gain - 2 * s
    a, b, c = height * (s - d0) + rise * curve, height * d0 - rise * curve, -s * rise
    root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
    return torch.where(inside, x0 + width * 2 * c / (-b - root), y)


def checked_knots(places: Tensor, heights: Tensor, slopes: Tensor, bound: float) -> tuple:
    """The three as they are; a ValueError that says which knot is not as it must be.

    Places and heights (..., K + 1) ascend from -bound to bound, slopes are positive.

    >>> line = torch.linspace(-2, 2, 4)
    >>> y, log_slope = spline_forward(torch.zeros(1), checked_knots(line, line, 0 * line + 1, 2.0))
    """
    for name, knots in (("places", places), ("heights", heights)):
        outside = knots.abs().max().item()
        if outside > bound * (1 + 1e-6):
            raise ValueError(f"{name} must lie in the box -{bound} .. {bound}, got {outside:.6g}")
        if not (knots.diff(dim=-1) > 0).all():
            step = knots.diff(dim=-1).min().item()
            raise ValueError(f"{name} must ascend, got a step of {step:.6g}")
    if not (slopes > 0).all():
        raise ValueError(f"slopes must be positive, got {slopes.min().item():.6g}")
    return places, heights, slopes


class RationalQuadratic(nn.Module):
    """An elementwise map with ``size`` numbers an entry: bins inside a box, the identity outside.

    Parameters
    ----------
    bins : number K of pieces, at least 2: K widths, K heights and K - 1 inner slopes.
    bound : the box is -bound .. bound, both ways.
    least : smallest width and height (as a share of the box) and slope.

    Notes
    -----
    With all numbers zero it is the identity. Own methods: ``knots``.

    Examples
    --------
    >>> spline = RationalQuadratic(bins=4)
    >>> y, log_slope = spline(torch.tensor([0.5, 9.0]), torch.zeros(2, spline.size))
    >>> y
    tensor([0.5000, 9.0000])
    """

    def __init__(self, bins: int = 8, bound: float = 5.0, least: float = 1e-3):
        super().__init__()
        if bins < 2 or not 0 < bound < math.inf or not 0 < least * bins < 1:
            raise ValueError(
                "bins must be at least 2, bound positive and finite, least between 0 and 1 / bins; "
                f"got {bins}, {bound} and {least}"
            )
        self.bins, self.bound, self.least = bins, bound, least
        self.size = 3 * bins - 1

    def _cumulative(self, free: Tensor) -> Tensor:
        """K free numbers -> K + 1 ascending knots from -bound to bound."""
        share = self.least + (1 - self.least * self.bins) * softmax(free, -1)
        inner = (share.cumsum(-1)[..., :-1] * 2 - 1) * self.bound
        return pad(pad(inner, (1, 0), value=-self.bound), (0, 1), value=self.bound)

    def knots(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers (..., 3K - 1) -> places, heights and slopes, (..., K + 1) each."""
        widths, heights, free = numbers.split((self.bins, self.bins, self.bins - 1), -1)
        start = math.log(math.expm1(1 - self.least))  # a free number of 0 is a slope of 1
        slopes = pad(self.least + softplus(free + start), (1, 1), value=1.0)
        return self._cumulative(widths), self._cumulative(heights), slopes

    def forward(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """x (...,), numbers (..., size) -> y and log dy/dx (...,), nats."""
        return spline_forward(x, self.knots(numbers))

    def inverse(self, y: Tensor, numbers: Tensor) -> Tensor:
        """y (...,), numbers (..., size) -> x (...,)."""
        return spline_inverse(y, self.knots(numbers))


class ScaleAndShift(nn.Module):
    """The affine map as such an elementwise map: y = x exp(s) + t, of 2 numbers an entry.

    s is bounded by ``max_log_scale`` through a tanh.

    Raises
    ------
    ValueError
        ``max_log_scale`` is not positive.
    """

    size = 2

    def __init__(self, max_log_scale: float = 3.0):
        super().__init__()
        if not max_log_scale > 0:
            raise ValueError(f"max_log_scale must be positive, got {max_log_scale}")
        self.most = max_log_scale

    def forward(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """x (...,), numbers (..., 2) -> y and log dy/dx (...,), nats."""
        log_scale = self.most * torch.tanh(numbers[..., 1] / self.most)
        return x * log_scale.exp() + numbers[..., 0], log_scale

    def inverse(self, y: Tensor, numbers: Tensor) -> Tensor:
        """y (...,), numbers (..., 2) -> x (...,)."""
        log_scale = self.most * torch.tanh(numbers[..., 1] / self.most)
        return (y - numbers[..., 0]) * (-log_scale).exp()
