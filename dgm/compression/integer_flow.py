"""Integer discrete flow: stages of rounded couplings, after each of which some entries leave.

Hoogeboom, Peters, van den Berg and Welling (2019), arXiv:1905.07376 (what leaves
has a discretised logistic law that looks at what stays); better networks: van den Berg, Gritsenko,
Dehghani, Sonderby and Salimans (2021), IDF++, arXiv:2006.12459. Needs torch only.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class LeavingStage(nn.Module):
    """Couplings over D entries; then some leave, and the others stay for the next stage.

    Parameters
    ----------
    couplings : iterable of nn.Module
        ``forward(marks (B, D, L))``, ``inverse(y (B, D))`` (rounded_coupling.py): a mark is a one
        at the level, among zeros.
    leaves, stays : list of int
        Which of the D entries; together all of them, no entry is both.
    net : nn.Module or None
        What stays, scaled to -1 .. 1, (B, n_stays) -> (B, n_leaves * parameters). None: the law of
        what leaves is the same whatever stays.
    law : callable
        ``law(parameters (B, n_leaves, parameters), levels)``: ``table()`` of log masses
        (B, n_leaves, levels), ``sample(generator)`` (B, n_leaves).
    start : Tensor
        Parameters of one entry, (parameters,), to which the network adds; learned for each.
    levels : int
        At least 2.
    """

    def __init__(
        self, couplings: Iterable[nn.Module], leaves: list[int], stays: list[int],
        net: nn.Module | None,
        law: Callable[[Tensor, int], object], start: Tensor, levels: int,
    ):  # fmt: skip
        super().__init__()
        if sorted(leaves + stays) != list(range(len(leaves) + len(stays))) or not leaves:
            raise ValueError(f"leaves and stays must share all entries, got {leaves} and {stays}")
        self.couplings, self.net, self.law_of = nn.ModuleList(couplings), net, law
        self.levels, self.start = levels, nn.Parameter(start.repeat(len(leaves), 1))
        self.register_buffer("leaves", torch.tensor(leaves), persistent=False)
        self.register_buffer("stays", torch.tensor(stays, dtype=torch.long), persistent=False)

    def forward(self, marks: Tensor) -> tuple[Tensor, Tensor]:
        """Marks (B, D, L) -> those of what leaves and those of what stays."""
        for coupling in self.couplings:
            marks = coupling(marks)
        return marks[:, self.leaves], marks[:, self.stays]

    def inverse(self, left: Tensor, stayed: Tensor) -> Tensor:
        """Integers that left (B, n_leaves) and stayed (B, n_stays) -> x (B, D)."""
        x = left.new_zeros(len(left), len(self.leaves) + len(self.stays))
        x = x.index_copy(1, self.leaves, left).index_copy(1, self.stays, stayed)
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x

    def law(self, stayed: Tensor) -> object:
        """The law of what leaves given the levels that stay (B, n_stays)."""
        stayed = stayed.to(self.start.dtype)
        parameters = self.start.expand(len(stayed), *self.start.shape)
        if self.net is not None:
            out = self.net(stayed * (2 / (self.levels - 1)) - 1)
            parameters = parameters + out.view_as(parameters)
        return self.law_of(parameters, self.levels)

    def log_prob(self, left: Tensor, stayed: Tensor) -> Tensor:
        """log P of what leaves given what stays, both as marks, (B,) nats."""
        every = torch.arange(self.levels, dtype=left.dtype, device=left.device)
        return (self.law(stayed @ every).table() * left).flatten(1).sum(1)


class IntegerFlow(nn.Module):
    """P(x) = product over stages of P(what leaves | what stays), at z = f(x), a bijection.

    There is no log-determinant: a bijection of a countable set moves masses, and changes none.

    Parameters
    ----------
    stages : iterable of LeavingStage
        The first one sees all D entries, each following one what stayed; nothing stays at the end.
    data : Levels (support.py)
        What x is: ``shape``, ``dims``, ``check(x)``, ``stored(v)``, ``count(n)``.

    Notes
    -----
    Own methods: ``leaving``, what leaves each stage and what stays there. Sums to one over all
    integers of the data: couplings are taken modulo the number of levels.

    Examples
    --------
    >>> from dgm import zoo
    >>> model, x = zoo.get("integer_flow").small()
    >>> bool((model.inverse(model(x)) == x).all())
    True
    """

    def __init__(self, stages: Iterable[LeavingStage], data: object):
        super().__init__()
        self.stages, self.data = nn.ModuleList(stages), data
        if not len(self.stages) or len(self.stages[-1].stays):
            raise ValueError("stages must end with one that nothing stays at")

    def _leaving(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For every stage the marks of what leaves and of what stays, of x (B, *shape)."""
        x = self.data.check(x, trusted=self.training).flatten(1)
        rest, found = one_hot(x, self.data.levels).to(self.stages[0].start.dtype), []
        for stage in self.stages:
            left, rest = stage(rest)
            found.append((left, rest))
        return found

    def leaving(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For every stage the integers that leave (B, n_leaves) and that stay (B, n_stays)."""
        return [(left.argmax(-1), rest.argmax(-1)) for left, rest in self._leaving(x)]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, *shape) -> z (B, D), integers, in the order in which they leave."""
        return torch.cat([left for left, _ in self.leaving(x)], 1)

    @torch.no_grad()
    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, *shape) as stored, exactly."""
        rest, sizes = z[:, :0], [len(stage.leaves) for stage in self.stages]
        for stage, left in zip(self.stages[::-1], z.split(sizes, 1)[::-1], strict=True):
            rest = stage.inverse(left, rest)
        return self.data.stored(rest.view(-1, *self.data.shape))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """log P of what leaves each stage given what stays, (B,) nats; they add up to log P(x)."""
        found = enumerate(zip(self.stages, self._leaving(x), strict=True), start=1)
        return {f"stage {i}": stage.log_prob(a, b) for i, (stage, (a, b)) in found}

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass (B,), nats."""
        return sum(self.terms(x).values())

    def loss(self, x: Tensor) -> Tensor:
        """-log P(x), (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, *shape) as stored: the last stage first, its couplings undone, and so on.

        The generator lives on the model's device.
        """
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        rest = self.stages[0].leaves.new_zeros(max(n, 1), 0)  # networks reshape no empty batch
        for stage in reversed(self.stages):
            rest = stage.inverse(stage.law(rest).sample(generator), rest)
        for module, training in modes:
            module.training = training
        return self.data.stored(rest.view(-1, *self.data.shape))[:n]
