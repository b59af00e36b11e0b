"""A decoder that can do without its code: every pixel also sees a window of pixels before it.

A linear form of the decoders of Chen et al. (2017), arXiv:1611.02731, section 2.3, where a window
limits what the code may leave to its neighbours. Needs torch only.
"""

import torch
from torch import Tensor, nn


class WindowLikelihood:
    """p(x|z) = prod_d p(x_d | z, x_(d-window) .. x_(d-1)), exact by the chain rule.

    ``logits`` (B, D, levels) come from z; ``weight`` (D, D, levels) adds what the pixels before
    have to say, zero outside the window.
    """

    def __init__(self, data: object, logits: Tensor, weight: Tensor):
        self.data, self.logits, self.weight = data, logits, weight

    def table(self, x: Tensor) -> Tensor:
        """log p of every level, given z and the pixels of x before, (B, D, levels)."""
        before = self.data.scaled(x.flatten(1), dtype=self.weight.dtype)
        context = torch.einsum("bi,idk->bdk", before, self.weight)
        return (self.logits + context).log_softmax(2)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) (B,), nats, exact."""
        return self.table(x).gather(2, x.flatten(1).long()[..., None]).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape): one element after the other."""
        n, size = self.logits.shape[:2]
        x = torch.zeros(n, size, dtype=torch.int64, device=self.logits.device)
        for d in range(size if n else 0):
            p = self.table(x)[:, d].exp()
            x[:, d] = torch.multinomial(p, 1, generator=generator)[:, 0]
        return self.data.stored(x.view(n, *self.data.shape))


class WindowDecoder(nn.Module):
    """z -> a table for every pixel that also depends on the pixels before, a `WindowLikelihood`.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to D * levels logits per example, in the order (*shape, levels).
    data : Levels (support.py)
        ``shape``, ``dims``, ``levels``, ``scaled(x)``, ``stored(v)``.
    window : int
        How many of the preceding elements each one sees, 0 .. D - 1; 0 is an ordinary table.

    Note: the likelihood has no ``mean``, which would be a sum over all pictures.
    """

    def __init__(self, net: nn.Module, data: object, window: int):
        super().__init__()
        size = data.dims
        if not 0 <= window < size:
            raise ValueError(f"window must lie in 0 .. {size - 1}, got {window}")
        self.net, self.data = net, data
        back = torch.arange(size) - torch.arange(size)[:, None]  # how far i lies before d
        near = (back > 0) & (back <= window)
        self.register_buffer("near", near[..., None].float(), persistent=False)  # (D, D, 1)
        self.weight = nn.Parameter(torch.zeros(size, size, data.levels))
        self.background = nn.Parameter(torch.zeros(size, data.levels))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to how often every level occurs at every pixel of x (N, *shape)."""
        self.background.copy_(self.data.frequencies(x).flatten(0, -2).log())

    def forward(self, z: Tensor) -> WindowLikelihood:
        """z (B, d) -> p(x|z)."""
        out, need = self.net(z), self.background.numel()
        if out.numel() != len(z) * need:
            raise ValueError(f"net must give {need} logits per example, got {out[0].numel()}")
        logits = out.view(len(z), *self.background.shape) + self.background
        return WindowLikelihood(self.data, logits, self.weight * self.near)
