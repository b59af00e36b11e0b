"""Generalised Sylvester flow: change the basis, take a triangular step, change back.

Hoogeboom, Garcia Satorras, Tomczak and Welling (2020), arXiv:2006.01910, section 4, theorem 1;
the flow of van den Berg et al. (2018), arXiv:1803.05649, is the case of two triangular matrices.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class AsPicture(nn.Module):
    """(B, D) -> (B, C, H, W) with C H W = D, so that layers of pictures serve rows; log det = 0."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> z (B, C, H, W) and zeros (B,)."""
        return x.unflatten(1, self.shape), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, H, W) -> x (B, D)."""
        return z.flatten(1)


class GeneralisedSylvester(nn.Module):
    """z = x + W^-1 f(W x), f autoregressive with slopes above -1: det = prod(1 + df_i/du_i).

    W does not enter the determinant, only the layer. Here f(u) = t + r tanh(u + c), where t, r in
    (-1, 1) and c of a place are read off the places before it; so df_i/du_i > -1.

    Parameters
    ----------
    basis : nn.Module
        The change of basis W, invertible: ``basis(x) -> (u, log_det)`` and ``inverse(u)``, the
        first linear in x (convolution_exponential.py).
    net : nn.Module
        Causal: (B, C, H, W) -> (B, net.width, H, W), each place from strictly earlier ones.
    channels : int
        C.

    Notes
    -----
    The step starts as the identity. Own methods: ``step``.

    Examples
    --------
    >>> from dgm.flow.convolution_exponential import ConvolutionExponential
    >>> from dgm.nets.gated_pixelcnn import GatedPixelCNN
    >>> net = GatedPixelCNN(2, (2, 4, 4), width=4, blocks=1)
    >>> layer = GeneralisedSylvester(ConvolutionExponential(2), net, channels=2)
    >>> x = torch.randn(5, 2, 4, 4)
    >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-4)
    True
    """

    def __init__(self, basis: nn.Module, net: nn.Module, channels: int):
        super().__init__()
        self.basis, self.net = basis, net
        self.head = nn.Conv2d(net.width, 3 * channels, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def _numbers(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """t, r and c of every entry of u, (B, C, H, W) each."""
        t, r, c = self.head(torch.nn.functional.silu(self.net(u))).chunk(3, 1)
        return t, torch.tanh(r), c

    def step(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """f(u) (B, C, H, W), and log det of u -> u + f(u) (B,), nats."""
        t, r, c = self._numbers(u)
        a = torch.tanh(u + c)
        return t + r * a, torch.log1p(r * (1 - a.square())).flatten(1).sum(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C, H, W) and log|det dz/dx| (B,), nats, exact."""
        moved, log_det = self.step(self.basis(x)[0])
        return x + self.basis.inverse(moved), log_det

    def inverse(self, z: Tensor, max_iter: int = 100) -> Tensor:
        """z (B, C, H, W) -> x: in the basis, place after place, a bisection for each.

        Raises
        ------
        RuntimeError
            A bisection was not down to the last digits after ``max_iter`` halvings.
        """
        target = self.basis(z)[0]  # u + f(u)
        u = torch.zeros_like(target)
        for place in range(z.shape[2] * z.shape[3]):
            i, j = divmod(place, z.shape[3])
            t, r, c = (n[:, :, i, j] for n in self._numbers(u))  # of earlier places, all final
            value = self._solve(target[:, :, i, j] - t, r, c, max_iter)
            u = u.clone()
            u[:, :, i, j] = value
        return self.basis.inverse(u)

    @torch.no_grad()
    def _solve(self, y: Tensor, r: Tensor, c: Tensor, max_iter: int) -> Tensor:
        """The u with u + r tanh(u + c) = y, for |r| < 1: it lies within 1 of y."""
        low, high = y - 1, y + 1
        for _ in range(max_iter):
            middle = (low + high) / 2
            if ((middle <= low) | (middle >= high)).all():
                return middle
            below = middle + r * torch.tanh(middle + c) < y
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        raise RuntimeError(f"no solution after max_iter = {max_iter} halvings of an interval")
