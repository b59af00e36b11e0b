"""Integer discrete flow: levels of rounded couplings, after each of which some entries leave.

Hoogeboom, Peters, van den Berg and Welling (2019), arXiv:1905.07376, sections 3 and 4 (what leaves
has a discretised logistic law that looks at what stays); better networks: van den Berg, Gritsenko,
Dehghani, Sonderby and Salimans (2021), IDF++, arXiv:2006.12459. Needs torch only.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


class LeavingLevel(nn.Module):
    """Couplings over D entries; then some of them leave, and the others stay for the next level.

    Parameters
    ----------
    couplings : iterable of nn.Module
        ``forward(x (B, D))`` and ``inverse`` (rounded_coupling.py).
    leaves, stays : list of int
        Which of the D entries; together all of them, no entry is both.
    net : nn.Module or None
        What stays, scaled to -1 .. 1, (B, n_stays) -> (B, n_leaves * parameters). None: the law of
        what leaves is the same whatever stays.
    law : callable
        ``law(parameters (B, n_leaves, parameters), levels)``: ``log_prob(v)`` of floats v that
        hold whole numbers (B, n_leaves), ``table()``, ``sample(generator)``.
    start : Tensor
        Parameters of one entry, (parameters,), to which the network adds; learned for each.
    levels : int
        At least 2.
    """

    def __init__(
        self, couplings: Iterable[nn.Module], leaves: list[int], stays: list[int], net: nn.Module | None,
        law: Callable[[Tensor, int], object], start: Tensor, levels: int,
    ):  # fmt: skip
        super().__init__()
        if sorted(leaves + stays) != list(range(len(leaves) + len(stays))) or not leaves:
            raise ValueError(f"leaves and stays must share all entries, got {leaves} and {stays}")
        self.couplings, self.net, self.law_of = nn.ModuleList(couplings), net, law
        self.levels, self.start = levels, nn.Parameter(start.repeat(len(leaves), 1))
        self.register_buffer("leaves", torch.tensor(leaves), persistent=False)
        self.register_buffer("stays", torch.tensor(stays, dtype=torch.long), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> what leaves (B, n_leaves) and what stays (B, n_stays)."""
        for coupling in self.couplings:
            x = coupling(x)
        return x[:, self.leaves], x[:, self.stays]

    def inverse(self, left: Tensor, stayed: Tensor) -> Tensor:
        """What left and what stayed -> x (B, D)."""
        x = left.new_zeros(len(left), len(self.leaves) + len(self.stays))
        x = x.index_copy(1, self.leaves, left).index_copy(1, self.stays, stayed)
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x

    def law(self, stayed: Tensor) -> object:
        """The law of what leaves given what stays (B, n_stays)."""
        parameters = self.start.expand(len(stayed), *self.start.shape)
        if self.net is not None:
            out = self.net(stayed * (2 / (self.levels - 1)) - 1)
            parameters = parameters + out.view_as(parameters)
        return self.law_of(parameters, self.levels)


class IntegerFlow(nn.Module):
    """P(x) = product over levels of P(what leaves | what stays), at z = f(x), a bijection of integers.

    There is no log-determinant: a bijection of a countable set moves masses, and changes none.

    Parameters
    ----------
    levels : iterable of LeavingLevel
        The first one sees all D entries, each following one what stayed; nothing stays at the end.
    data : Levels (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``stored(v)``, ``count(n)``.

    Notes
    -----
    Own methods: ``leaving``, what leaves each level and what stays there. Sums to one over all
    integers of the data: couplings are taken modulo ``levels`` and the laws are of these levels.

    Examples
    --------
    >>> from dgm import zoo
    >>> model, x = zoo.get("integer_flow").small()
    >>> bool((model.inverse(model(x)) == x).all())
    True
    """

    def __init__(self, levels: Iterable[LeavingLevel], data: object):
        super().__init__()
        self.levels, self.data = nn.ModuleList(levels), data
        if not len(self.levels) or len(self.levels[-1].stays):
            raise ValueError("levels must end with one that nothing stays at")

    def leaving(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For every level what leaves and what stays, floats that hold whole numbers, of x (B, *shape)."""
        dtype = self.levels[0].start.dtype
        rest, found = self.data.check(x, trusted=self.training).flatten(1).to(dtype), []
        for level in self.levels:
            left, rest = level(rest)
            found.append((left, rest))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> z (B, D), integers of the same levels, in the order in which they leave."""
        return torch.cat([left for left, _ in self.leaving(x)], 1).long()

    @torch.no_grad()
    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, *shape) as stored, exactly."""
        dtype, sizes = self.levels[0].start.dtype, [len(level.leaves) for level in self.levels]
        rest = z.new_zeros(len(z), 0, dtype=dtype)
        for level, left in zip(self.levels[::-1], z.to(dtype).split(sizes, 1)[::-1], strict=True):
            rest = level.inverse(left, rest)
        return self.data.stored(rest.view(-1, *self.data.shape))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """log P of what leaves each level given what stays, (B,) nats each; they add up to log P(x)."""
        found = enumerate(zip(self.levels, self.leaving(x), strict=True), start=1)
        return {f"level {i}": level.law(b).log_prob(a).sum(1) for i, (level, (a, b)) in found}

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass (B,), nats."""
        return sum(self.terms(x).values())

    def loss(self, x: Tensor) -> Tensor:
        """-log P(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape) as stored: the last level first, its couplings undone, then the others.

        The generator lives on the model's device.
        """
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        rest = self.levels[0].start.new_zeros(max(n, 1), 0)  # networks reshape no empty batch
        for level in reversed(self.levels):
            rest = level.inverse(level.law(rest).sample(generator).to(rest.dtype), rest)
        for module, training in modes:
            module.training = training
        return self.data.stored(rest.view(-1, *self.data.shape))[:n]
