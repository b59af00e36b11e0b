"""The chain rule itself: one table of probabilities for each variable given those before it.

p(x_1, ..., x_D) = p(x_1) p(x_2 | x_1) ... p(x_D | x_1, ..., x_{D-1}), for any order of the names.
A complete Bayesian network: Koller & Friedman (2009), section 3.2. Needs torch only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ChainTables(nn.Module):
    """Any law of D variables with ``levels`` values: the t-th table has levels ** t rows.

    Exact, general, and hopeless beyond a handful of variables: levels ** D - 1 free numbers in all.

    Parameters
    ----------
    data : Levels (support.py)
        What x is: ``shape``, ``dims``, ``levels``, ``check(x)``, ``stored(v)``, ``count(n)``;
        levels ** D may be up to a million.
    order : sequence of D ints, optional
        order[t] is the flat index of the variable that comes t-th.

    Notes
    -----
    Own methods: ``from_joint``, the tables of a joint distribution.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> model = ChainTables(Levels((2,), 2)).from_joint(torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    >>> model.log_prob(torch.tensor([[1, 0]])).exp()
    tensor([0.3000], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data: object, order: Sequence[int] | Tensor | None = None):
        super().__init__()
        self.data, levels, size = data, data.levels, data.dims
        if levels**size > 1_000_000:
            raise ValueError(f"data: levels ** D may be up to 1e6, got {levels} ** {size}")
        order = list(range(size)) if order is None else [int(d) for d in order]
        if sorted(order) != list(range(size)):
            raise ValueError(f"order must hold each of 0 .. {size - 1} once, got {order}")
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.tables = nn.ParameterList(torch.zeros(levels**t, levels) for t in range(size))

    @torch.no_grad()
    def from_joint(self, joint: Tensor) -> "ChainTables":
        """Set the tables to the conditionals of ``joint`` (levels, ..., levels), D axes, > 0.

        The axes are the variables as stored. Returns the model.
        """
        levels = self.data.levels
        if joint.shape != (levels,) * len(self.order) or not (joint > 0).all():
            raise ValueError(f"joint must be positive, {len(self.order)} axes of {levels}")
        joint = joint.permute(*self.order.tolist())
        for t, table in enumerate(self.tables):
            marginal = joint.reshape(levels ** (t + 1), -1).sum(1).view(-1, levels)
            table.data = marginal.log().log_softmax(1)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """log p(every level | those before), (B, *shape, levels); rows sum to one under exp."""
        v = self.data.check(x, trusted=self.training).flatten(1)[:, self.order]
        row, out = v.new_zeros(len(v)), []  # the values so far, read as one number
        for t, table in enumerate(self.tables):
            out.append(table.log_softmax(1)[row])
            row = self.data.levels * row + v[:, t]
        return torch.stack(out, 1)[:, self.order.argsort()].view(*x.shape, self.data.levels)

    def place_terms(self, x: Tensor) -> Tensor:
        """log p(x_d | those before), (B, *shape) nats; they add up to `log_prob`."""
        return self(x).gather(-1, x.long()[..., None])[..., 0]

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,) nats."""
        return self.place_terms(x).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Exact negative log p(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape), as stored, one variable after the other.

        A ``generator`` lives on the model's device; equal ones give equal draws.
        """
        n = self.data.count(n)
        row = torch.zeros(n, dtype=torch.long, device=self.order.device)
        v = []
        for table in self.tables:
            v.append(torch.multinomial(table.softmax(1)[row], 1, generator=generator)[:, 0])
            row = self.data.levels * row + v[-1]
        x = torch.stack(v, 1)[:, self.order.argsort()]
        return self.data.stored(x.view(n, *self.data.shape))
