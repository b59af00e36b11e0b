"""One table of level frequencies per pixel: the simplest exact model of a discrete image.

The class-conditional law of naive Bayes: Bishop (2006), section 4.2.3; the pseudo-count is
Laplace's rule of succession (1814). Needs torch only.
"""

import torch
from torch import Tensor, nn


class LevelTable(nn.Module):
    """p(x) = prod_d p_d(x_d): pixels independent, each with its own table over 0 .. levels-1.

    Parameters
    ----------
    data : Levels (support.py)
        Integers x (B, *shape) in 0 .. levels-1: ``shape``, ``dims``, ``levels``, ``check(x)``,
        ``stored(v)``, ``count(n)``, ``frequencies(x, pseudo_count)``.

    Notes
    -----
    Starts as the uniform law.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> x = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> LevelTable(Levels((1, 2, 2), 16)).log_prob(x)  # -4 log 16
    tensor([-11.0904], grad_fn=<SumBackward1>)
    """

    def __init__(self, data: object):
        super().__init__()
        self.data = data
        self.logits = nn.Parameter(torch.zeros(data.dims, data.levels))

    @torch.no_grad()
    def fit_to(self, x: Tensor, pseudo_count: float = 0.0) -> "LevelTable":
        """The maximum-likelihood tables of x (N, *shape), in place: observed frequencies; self.

        ``pseudo_count`` imaginary observations are added to every level, so that a level never
        seen keeps a probability above zero; with them alone (N = 0) the law is uniform.

        Raises
        ------
        ValueError
            pseudo_count is negative or not finite, or 0 where x is empty.
        """
        if len(x) == 0 and pseudo_count > 0:
            self.logits.zero_()
        else:
            table = self.data.frequencies(x, pseudo_count)  # (*shape, levels)
            self.logits.copy_(table.view_as(self.logits).log())
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact log mass of the integers x (B, *shape)."""
        pixels = self.data.check(x, trusted=self.training).flatten(1)  # (B, D)
        table = self.logits.log_softmax(1).expand(len(pixels), -1, -1)  # (B, D, levels)
        return table.gather(2, pixels[..., None]).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape) integers as stored: every pixel drawn from its own table.

        The generator lives on the model's device.
        """
        n, probs = self.data.count(n), self.logits.softmax(1)
        if n == 0:
            pixels = probs.new_empty(0, len(probs), dtype=torch.int64)
        else:
            pixels = probs.multinomial(n, replacement=True, generator=generator).T  # (n, D)
        return self.data.stored(pixels.reshape(n, *self.data.shape))
