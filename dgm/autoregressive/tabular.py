"""The chain rule itself: one table of probabilities for each variable given those before it.

p(x_1, ..., x_D) = p(x_1) p(x_2 | x_1) ... p(x_D | x_1, ..., x_{D-1}), for any order of the names.
A complete Bayesian network: Koller & Friedman (2009), section 3.2. Needs torch only.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ChainTables(nn.Module):
    """Any law of D variables with ``levels`` values: the t-th table has levels ** t rows.

    Exact, general, and hopeless beyond a handful of variables: levels ** D - 1 free numbers in all.

    Parameters
    ----------
    shape : tuple of int
        Of one example, D entries; levels ** D may be up to a million.
    order : sequence of D ints, optional
        order[t] is the flat index of the variable that comes t-th.

    >>> model = ChainTables((2,), 2).from_joint(torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    >>> model.log_prob(torch.tensor([[1, 0]])).exp()
    tensor([0.3000], grad_fn=<ExpBackward0>)
    """

    def __init__(
        self, shape: tuple[int, ...], levels: int, order: Sequence[int] | Tensor | None = None
    ):
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        size = math.prod(self.shape)
        if levels < 2 or size < 1 or levels**size > 1_000_000:
            raise ValueError(f"levels >= 2 with levels ** D <= 1e6, got {levels} for D = {size}")
        order = list(range(size)) if order is None else [int(d) for d in order]
        if sorted(order) != list(range(size)):
            raise ValueError(f"order must hold each of 0 .. {size - 1} once, got {order}")
        self.register_buffer("order", torch.tensor(order))
        self.tables = nn.ParameterList(torch.zeros(levels**t, levels) for t in range(size))

    @torch.no_grad()
    def from_joint(self, joint: Tensor) -> "ChainTables":
        """Set the tables to the conditionals of ``joint`` (levels, ..., levels), D axes, > 0.

        The axes are the variables as stored. Returns the model.
        """
        if joint.shape != (self.levels,) * len(self.order) or not (joint > 0).all():
            raise ValueError(f"joint: positive, {len(self.order)} axes of {self.levels}")
        joint = joint.permute(*self.order.tolist())
        for t, table in enumerate(self.tables):
            marginal = joint.reshape(self.levels ** (t + 1), -1).sum(1).view(-1, self.levels)
            table.data = marginal.log().log_softmax(1)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """log p(every level | those before), (B, *shape, levels); rows sum to one under exp."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        if x.is_floating_point() or int(x.min()) < 0 or int(x.max()) >= self.levels:
            raise ValueError(f"x must hold integers in 0 .. {self.levels - 1}, got {x.dtype}")
        v = x.flatten(1).long()[:, self.order]
        row, out = v.new_zeros(len(v)), []  # the values so far, read as one number
        for t, table in enumerate(self.tables):
            out.append(table.log_softmax(1)[row])
            row = self.levels * row + v[:, t]
        return torch.stack(out, 1)[:, self.order.argsort()].view(*x.shape, self.levels)

    def terms(self, x: Tensor) -> Tensor:
        """log p(x_d | those before), (B, *shape) nats."""
        return self(x).gather(-1, x.long()[..., None])[..., 0]

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats."""
        return self.terms(x).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Exact negative log p(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape), one variable after the other; uint8 images, else int64."""
        row = torch.zeros(n, dtype=torch.long, device=self.order.device)
        v = []
        for table in self.tables:
            v.append(torch.multinomial(table.softmax(1)[row], 1, generator=generator)[:, 0])
            row = self.levels * row + v[-1]
        x = torch.stack(v, 1)[:, self.order.argsort()].view(n, *self.shape)
        return x.to(torch.uint8) if x.ndim == 4 and self.levels <= 256 else x
