"""A decoder that can do without its code: every pixel also sees a window of pixels before it.

A linear form of the decoders of Chen et al. (2017), arXiv:1611.02731, section 2.3, where a window
limits what the code may leave to its neighbours. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class WindowLikelihood(nn.Module):
    """p(x|z) = prod_d p(x_d | z, x_(d-window) .. x_(d-1)), exact by the chain rule.

    Parameters
    ----------
    net : maps z (B, d) to D * levels logits per example, in the order (*shape, levels).
    shape : shape of one example. levels : number of values.
    window : how many of the preceding elements each one sees, 0 .. D - 1; 0 is an ordinary table.
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...], levels: int, window: int):
        super().__init__()
        size = math.prod(shape)
        if levels < 2 or not 0 <= window < size:
            raise ValueError(
                f"levels >= 2 and window in 0 .. {size - 1} needed, got {levels} and {window}"
            )
        self.net, self.shape, self.levels = net, tuple(shape), levels
        back = torch.arange(size) - torch.arange(size)[:, None]  # how far i lies before d
        near = (back > 0) & (back <= window)
        self.register_buffer("near", near[..., None].float(), persistent=False)  # (D, D, 1)
        self.weight = nn.Parameter(torch.zeros(size, size, levels))

    def _table(self, x: Tensor, z: Tensor) -> Tensor:
        """log p of every level, given z and the pixels before, (B, D, levels)."""
        before = 2 * x.flatten(1).to(self.weight.dtype) / (self.levels - 1) - 1
        context = torch.einsum("bi,idk->bdk", before, self.weight * self.near)
        return (self.net(z).view(context.shape) + context).log_softmax(2)

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless x (B >= 1, *shape) holds integers in 0 .. levels - 1."""
        wrong = tuple(x.shape[1:]) != self.shape or x.is_floating_point() or len(x) == 0
        if wrong or int(x.min()) < 0 or int(x.max()) >= self.levels:
            raise ValueError(
                f"x must be integers below {self.levels}, (B > 0, {self.shape}), "
                f"got {x.dtype} {tuple(x.shape)}"
            )

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        self.check(x)
        return self._table(x, z).gather(2, x.flatten(1).long()[..., None]).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """x as stored, (B, *shape): one element after the other."""
        x = torch.zeros(len(z), self.weight.shape[0], dtype=torch.int64, device=z.device)
        for d in range(x.shape[1]):
            x[:, d] = torch.multinomial(self._table(x, z)[:, d].exp(), 1)[:, 0]
        return x.view(-1, *self.shape).to(torch.uint8 if self.levels <= 256 else torch.int64)
