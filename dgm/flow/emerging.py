"""Invertible k x k convolutions: two masked ones in a row, and one that wraps around the border.

Hoogeboom, van den Berg and Welling (2019), Emerging convolutions for generative normalizing flows,
arXiv:1901.11137, sections 3.1 (emerging) and 3.2 (periodic). Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad


def _before_mask(channels: int, kernel_size: int) -> Tensor:
    """1 where a tap looks at an earlier place, or at an earlier channel of its own place."""
    mask = torch.zeros(channels, channels, kernel_size, kernel_size)
    middle = kernel_size // 2
    mask[:, :, :middle] = 1
    mask[:, :, middle, :middle] = 1
    mask[:, :, middle, middle] = torch.ones(channels, channels).tril(-1)
    return mask


class EmergingConvolution(nn.Module):
    """Two masked convolutions in a row, the second one from the other end: all taps are filled.

    Each is triangular, so log det = H W (sum log_scale_1 + sum log_scale_2). The inverse solves two
    triangular systems of size C H W, so this file is for small images.

    Parameters
    ----------
    channels : C, at least 1. kernel_size : of each of the two, odd.
    start : standard deviation of the taps before training.

    Examples
    --------
    >>> layer = EmergingConvolution(2)
    >>> x = torch.randn(5, 2, 4, 4)
    >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
    True
    """

    def __init__(self, channels: int, kernel_size: int = 3, start: float = 0.05):
        super().__init__()
        if channels < 1 or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"channels must be at least 1, kernel_size odd; got {channels} and {kernel_size}"
            )
        self.taps = nn.Parameter(
            start * torch.randn(2, channels, channels, kernel_size, kernel_size)
        )
        self.log_scale = nn.Parameter(torch.zeros(2, channels))
        self.register_buffer("mask", _before_mask(channels, kernel_size), persistent=False)

    def _one(self, x: Tensor, k: int) -> Tensor:
        """The k-th masked convolution, first to last."""
        reach = self.mask.shape[-1] // 2
        past = conv2d(x, self.taps[k] * self.mask, padding=reach)
        return self.log_scale[k].exp()[:, None, None] * x + past

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C, H, W) and log|det dz/dx| (B,), nats, exact."""
        z = self._one(self._one(x, 0).flip(1, 2, 3), 1).flip(1, 2, 3)
        return z, (x.shape[2] * x.shape[3] * self.log_scale.sum()).expand(len(x))

    def _undo_one(self, z: Tensor, k: int) -> Tensor:
        """Solve one masked convolution: as a matrix, pixels first, it is lower triangular."""
        shape = z.shape[1:]
        by_place = z.movedim(1, -1).flatten(1)  # (B, H W C)
        eye = torch.eye(by_place.shape[1], dtype=z.dtype, device=z.device)
        units = eye.unflatten(1, (*shape[1:], shape[0])).movedim(-1, 1)
        columns = self._one(units, k).movedim(1, -1).flatten(1)  # row i: what unit i becomes
        found = torch.linalg.solve_triangular(columns.T, by_place.T, upper=False).T
        return found.unflatten(1, (*shape[1:], shape[0])).movedim(-1, 1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, H, W) -> x (B, C, H, W)."""
        return self._undo_one(self._undo_one(z.flip(1, 2, 3), 1).flip(1, 2, 3), 0)


class PeriodicConvolution(nn.Module):
    """A convolution that wraps around: at each frequency it multiplies the channels by a matrix.

    log det = sum over frequencies of log|det|, and the inverse divides, both through the Fourier
    transform. The kernel starts at the identity plus noise of size ``start``.

    Parameters
    ----------
    channels : C, at least 1. kernel_size : odd, at most H and W.

    Raises
    ------
    ValueError
        In use: some frequency is annihilated, so that the layer has no inverse.

    Examples
    --------
    >>> layer = PeriodicConvolution(2)
    >>> x = torch.randn(5, 2, 4, 4)
    >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
    True
    """

    def __init__(self, channels: int, kernel_size: int = 3, start: float = 0.05):
        super().__init__()
        if channels < 1 or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"channels must be at least 1, kernel_size odd; got {channels} and {kernel_size}"
            )
        kernel = start * torch.randn(channels, channels, kernel_size, kernel_size)
        kernel[:, :, kernel_size // 2, kernel_size // 2] += torch.eye(channels)
        self.kernel = nn.Parameter(kernel)

    def _response(self, place: tuple[int, int]) -> Tensor:
        """The matrix of every frequency, (H, W // 2 + 1, C, C) complex."""
        size = self.kernel.shape[-1]
        if size > min(place):
            raise ValueError(f"kernel_size must be at most H and W = {place}, got {size}")
        full = pad(self.kernel.flip(2, 3), (0, place[1] - size, 0, place[0] - size))
        full = full.roll((-(size // 2), -(size // 2)), (2, 3))
        return torch.fft.rfft2(full).permute(2, 3, 0, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C, H, W) and log|det dz/dx| (B,), nats, exact."""
        height, width = x.shape[2:]
        response = self._response((height, width))
        z = torch.einsum("hwij,bjhw->bihw", response, torch.fft.rfft2(x))
        # of a real kernel, frequencies f and -f have equal moduli: rfft2 keeps one of the two
        twice = torch.full((response.shape[1],), 2.0, dtype=x.dtype, device=x.device)
        twice[0] = 1.0
        if width % 2 == 0:
            twice[-1] = 1.0
        log_det = (torch.linalg.slogdet(response).logabsdet * twice).sum()
        if not log_det.isfinite():
            raise ValueError(f"the kernel annihilates a frequency: log det is {log_det.item()}")
        return torch.fft.irfft2(z, (height, width)), log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, H, W) -> x (B, C, H, W)."""
        response = self._response(tuple(z.shape[2:]))
        columns = torch.fft.rfft2(z).permute(2, 3, 1, 0)  # (H, W // 2 + 1, C, B)
        x = torch.linalg.solve(response, columns).permute(3, 2, 0, 1)
        return torch.fft.irfft2(x, tuple(z.shape[2:]))
