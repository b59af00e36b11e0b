"""Dictionary learning: find the atoms of which every example needs only a few.

Olshausen & Field (1996), doi:10.1038/381607a0; online, with one pass over the atoms for every
batch: Mairal, Bach, Ponce & Sapiro (2010), JMLR 11, algorithms 1 and 2. Needs torch only.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DictionaryLearner(nn.Module):
    """x = D h + rest with few active h, for x (B, dim) and atoms d_j of length 1.

    Parameters
    ----------
    data : Reals (support.py)
        Rows (dim,): ``shape``, ``check(x)``, ``finite(h)``, ``count(n)``.
    n_atoms : int
        Columns of D; more than dim make it over-complete.
    penalty : float
        Price of |h|, in units of x.
    code : callable
        Finds h (B, n_atoms): called as ``code(x, dictionary, penalty, steps)``, such as `fista`.
    steps : int
        Given to ``code``.

    Notes
    -----
    Own methods: ``encode``, ``decode``, ``learn``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> from dgm.linear.sparse_coding import fista
    >>> model = DictionaryLearner(Reals((4,)), 6, penalty=0.1, code=fista)
    >>> model.learn(torch.randn(8, 4)).shape
    torch.Size([8, 6])
    """

    def __init__(self, data: object, n_atoms: int, penalty: float, code: Callable, steps: int = 50):
        super().__init__()
        if len(data.shape) != 1:
            raise ValueError(f"data must be rows (dim,), got shape {data.shape}")
        data.count(n_atoms, "n_atoms", least=1)
        data.count(steps, "steps", least=1)
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must lie in [0, inf), got {penalty}")
        dim, self.data = data.dims, data
        self.penalty, self.code, self.steps = penalty, code, steps
        self.atoms = nn.Parameter(F.normalize(torch.randn(dim, n_atoms), dim=0))
        self.register_buffer("code_moments", torch.zeros(n_atoms, n_atoms))  # E[h h^T]
        self.register_buffer("cross_moments", torch.zeros(dim, n_atoms))  # E[x h^T]
        self.register_buffer("usage", torch.ones(n_atoms))  # how often an atom is active

    @property
    def dictionary(self) -> Tensor:
        """D (dim, n_atoms) with columns of length 1: without that, |h| could be had for nothing."""
        return F.normalize(self.atoms, dim=0)

    def encode(self, x: Tensor) -> Tensor:
        """The code (B, n_atoms), an argmin: it costs iterations, and takes no gradient."""
        x = self.data.check(x, trusted=self.training)
        with torch.no_grad():
            return self.code(x, self.dictionary, self.penalty, self.steps)

    def decode(self, h: Tensor) -> Tensor:
        """D h, (B, dim)."""
        return self.data.finite(h, "h") @ self.dictionary.T

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction (B, dim)."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """min_h |x - D h|^2 / 2 + penalty |h|_1, (B,), in squared units of x; no likelihood.

        Its gradient in D is right although h is held fixed: at the minimum h has none to add.
        """
        h = self.encode(x)
        error = x - h @ self.dictionary.T
        return 0.5 * error.square().sum(1) + self.penalty * h.abs().sum(1)

    @torch.no_grad()
    def start_from(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Begin with random examples of x (N, dim) as atoms, and forget what was learned."""
        x, size = self.data.check(x), (self.atoms.shape[1],)
        rows = x[torch.randint(len(x), size, generator=generator, device=x.device)]
        self.atoms.copy_(F.normalize(rows.T + 1e-12, dim=0))
        self.code_moments.zero_()
        self.cross_moments.zero_()
        self.usage.fill_(1.0)

    @torch.no_grad()
    def learn(self, x: Tensor, forget: float = 0.05, dead_below: float = 1e-3) -> Tensor:
        """One online step on a batch x (B, dim), in place; returns its codes (B, n_atoms).

        The running moments move by ``forget`` towards those of the batch, then every atom in turn
        is set to its best value given the others. Atoms that fewer than ``dead_below`` of the
        examples use, and those that nearly repeat another, begin anew at badly explained examples.
        """
        if not 0 < forget <= 1:
            raise ValueError(f"forget must lie in (0, 1], got {forget}")
        h = self.encode(x)
        error = x - h @ self.dictionary.T
        self.code_moments.lerp_(h.T @ h / len(x), forget)
        self.cross_moments.lerp_(x.T @ h / len(x), forget)
        self.usage.lerp_((h != 0).to(x.dtype).mean(0), forget)
        atoms = self.dictionary.clone()
        for j in (self.code_moments.diagonal() > 1e-10).nonzero().flatten():
            pull = self.cross_moments[:, j] - atoms @ self.code_moments[:, j]
            atom = atoms[:, j] + pull / self.code_moments[j, j]
            atoms[:, j] = atom / atom.norm().clamp_min(1e-12)
        self.atoms.copy_(atoms)
        self._reseed(error, dead_below)
        return h

    def _reseed(self, error: Tensor, dead_below: float) -> None:
        """Point unused and repeated atoms at what the worst explained examples still need."""
        overlap = (self.atoms.T @ self.atoms).abs().triu(1)  # (n_atoms, n_atoms)
        dead = (self.usage < dead_below) | (overlap > 0.95).any(0)
        dead = dead.nonzero().flatten()[: len(error)]
        if len(dead):
            worst = error.norm(dim=1).topk(len(dead)).indices
            self.atoms[:, dead] = F.normalize(error[worst].T + 1e-12, dim=0)
            self.code_moments[dead] = self.code_moments[:, dead] = 0.0
            self.cross_moments[:, dead] = 0.0
            self.usage[dead] = 1.0  # time to find its use
