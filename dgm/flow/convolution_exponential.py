"""The exponential of a convolution: invertible whatever the kernel, log-determinant for nothing.

Hoogeboom, Garcia Satorras, Tomczak and Welling (2020), The convolution exponential and generalized
Sylvester flows, arXiv:2006.01910, section 3. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


def convolution_series(
    x: Tensor, kernel: Tensor, tol: float | None = None, max_terms: int = 60
) -> Tensor:
    """exp(M) x = x + M x + M M x / 2 + ..., M the zero-padded convolution with ``kernel``.

    Parameters
    ----------
    x : Tensor
        (B, C, H, W).
    kernel : Tensor
        (C, C, k, k), k odd.
    tol : float, optional
        The series ends when the largest entry of a term is below tol times that of the sum; one
        unit of precision when left out.
    max_terms : int
        Most terms after x itself.

    Raises
    ------
    ValueError
        Not below ``tol`` after ``max_terms`` terms: the kernel is too large, or not finite.
    """
    tol = torch.finfo(x.dtype).eps if tol is None else tol
    reach = kernel.shape[-1] // 2
    total = term = x
    if not kernel.isfinite().all():
        raise ValueError("the kernel must be finite, got NaN or infinite values")
    if not len(x):
        return x
    for k in range(1, max_terms + 1):
        term = conv2d(term, kernel, padding=reach) / k
        total = total + term
        if k % 2 == 0:  # looking costs a little, too
            # examples that are NaN, off the support of a flow say, stay so and stop no series
            last, whole = (v.detach().abs().nan_to_num(0.0, 1e30).max() for v in (term, total))
            size = last / whole.clamp_min(1e-30)
            if size <= tol:
                return total
    raise ValueError(
        f"the series of the kernel did not converge: after max_terms = {max_terms} terms the last "
        f"one is {size.item():.3g} of the sum, tol is {tol:.3g}; the kernel is too large"
    )


class ConvolutionExponential(nn.Module):
    """z = exp(M) x with M a convolution; log det = tr M = H W sum_c kernel[c, c, middle].

    The inverse is exp(-M): the same series with the kernel negated.

    Parameters
    ----------
    channels : int
        C, at least 1.
    kernel_size : int
        Odd.
    start : float
        Standard deviation of the kernel before training.
    most : float
        The kernel is scaled down to this norm where it is larger (a bound of the norm of M: the
        geometric mean of its largest absolute row and column sums). It keeps the series short.

    Notes
    -----
    The paper divides by the spectral norm; the bound used here costs one pass over the kernel. Own
    methods: ``bounded``, the kernel in use.

    Examples
    --------
    >>> layer = ConvolutionExponential(2)
    >>> x = torch.randn(5, 2, 4, 4)
    >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
    True
    """

    def __init__(self, channels: int, kernel_size: int = 3, start: float = 0.05, most: float = 3.0):
        super().__init__()
        if channels < 1 or kernel_size < 1 or kernel_size % 2 == 0 or not most > 0:
            raise ValueError(
                "channels must be at least 1, kernel_size odd, most positive; got "
                f"{channels}, {kernel_size} and {most}"
            )
        self.most = most
        self.kernel = nn.Parameter(
            start * torch.randn(channels, channels, kernel_size, kernel_size)
        )

    def bounded(self) -> Tensor:
        """The kernel, scaled so that the norm of its convolution is at most ``most``."""
        size = self.kernel.abs()
        norm = (size.sum((1, 2, 3)).max() * size.sum((0, 2, 3)).max()).sqrt()
        return self.kernel * (self.most / norm).clamp(max=1.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C, H, W) and log|det dz/dx| (B,), nats, exact."""
        kernel = self.bounded()
        middle = kernel.shape[-1] // 2
        trace = x.shape[2] * x.shape[3] * kernel[:, :, middle, middle].diagonal().sum()
        return convolution_series(x, kernel), trace.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, H, W) -> x (B, C, H, W)."""
        return convolution_series(z, -self.bounded())
