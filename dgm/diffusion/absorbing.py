"""Absorbing diffusion: entries of the data are masked one after the other, and guessed back.

Austin et al. (2021), D3PM, arXiv:2107.03006, appendix A.3 and section 4; that it is an
autoregressive model of random order: Hoogeboom et al. (2022), arXiv:2110.02037, eqs. 3-6; the
objective in any order: Uria et al. (2014), arXiv:1310.1757, eq. 9. Needs torch only.
"""

import torch
from torch import Tensor, nn


class AbsorbingDiffusion(nn.Module):
    """log p(x) >= sum over stages i of E (g_i / n_i) sum over hidden d of log p(x_d | seen).

    A stage begins with n hidden entries, a random set of them, and lets g appear at once,
    independently given what is seen. With as many stages as entries (g = 1) the bound is the mean
    over all orders o of log p(x; o), each the exact log-likelihood of an autoregressive model.

    Parameters
    ----------
    net : nn.Module
        ``net(seen, level)`` of seen (B, 2 C, H, W), the values where they can be seen (0 elsewhere,
        scaled to -1 .. 1) and where that is, and the share hidden (B,) in -10 .. 10: as many
        numbers as (B, C, levels, H, W) has.
    data : Levels (support.py)
        ``shape``, ``levels``, ``dims``, ``check(x)``, ``scaled(x)``, ``frequencies(x)``.
    stages : int
        How many, 0 for one for every entry.
    strata : int
        Stages that `elbo` looks at, one at random of each of as many equal parts.

    Notes
    -----
    Own methods: ``logits`` of all entries given some; ``order_log_prob``, exact for one order;
    ``stage_costs``, every term of the bound.
    """

    def __init__(
        self, net: nn.Module, data: object, stages: int = 0, strata: int = 8
    ):  # fmt: skip
        super().__init__()
        stages = data.count(stages, "stages") or data.dims
        if stages > data.dims:
            raise ValueError(f"stages must be at most {data.dims} for this data, got {stages}")
        self.net, self.data, self.stages = net, data, stages
        self.strata = min(data.count(strata, "strata", least=1), stages)
        self.background = nn.Parameter(torch.zeros(*data.shape, data.levels))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Backgrounds at the log frequencies of the levels in x (N, *shape)."""
        self.background.copy_(self.data.frequencies(x).log())

    # --- the law of an entry given what is seen ---------------------------------------------------

    def logits(self, x: Tensor, seen: Tensor) -> Tensor:
        """x (B, *shape), seen (B, *shape) of 0 and 1 -> (B, *shape, levels), for every entry."""
        seen = seen.to(self.background.dtype)
        u = self.data.scaled(x, dtype=seen.dtype) * seen
        hidden = 1 - seen.flatten(1).mean(1)
        out = self.net(torch.cat((u, seen), 1), 20 * hidden - 10)
        out = out.view(len(x), x.shape[1], self.data.levels, *x.shape[2:]).movedim(2, -1)
        return self.background + out

    def _nats(self, x: Tensor, seen: Tensor) -> Tensor:
        """-log p(x_d | seen) where d is hidden, 0 elsewhere, (B, D) nats."""
        log_p = self.logits(x, seen).log_softmax(-1).gather(-1, x.unsqueeze(-1))
        return -log_p.flatten(1) * (1 - seen.flatten(1))

    # --- the bound --------------------------------------------------------------------------------

    def _begins(self, i: Tensor) -> Tensor:
        """How many entries are seen when stage i = 0 .. stages - 1 begins."""
        return (i * self.data.dims).div(self.stages, rounding_mode="floor")

    def _ranks(self, x: Tensor) -> Tensor:
        """A random order for every example: the place of each entry in it, (B, D)."""
        return torch.rand(len(x), self.data.dims, device=x.device).argsort(1).argsort(1)

    def _cost(self, x: Tensor, i: Tensor, rank: Tensor, every: bool = False) -> Tensor:
        """Nats (B,) of the entries that appear in stage i (B,) when they come in this order.

        ``every``: all hidden ones, weighted: the mean over which of them come next.
        """
        begins, ends = self._begins(i)[:, None], self._begins(i + 1)[:, None]
        seen = (rank < begins).view_as(x).to(self.background.dtype)
        nats = self._nats(x, seen)
        if every:
            return (nats * (ends - begins) / (self.data.dims - begins)).sum(1)
        return (nats * ((rank >= begins) & (rank < ends))).sum(1)

    def elbo(self, x: Tensor) -> Tensor:
        """One unbiased draw of the bound on log p(x), (B,) nats, along one order for each example.

        Where every stage is looked at it is log p(x; o) of that order, no less.
        """
        x = self.data.check(x, trusted=self.training)
        total, rank = 0.0, self._ranks(x)
        for k in range(self.strata):
            first, last = (j * self.stages // self.strata for j in (k, k + 1))
            at = torch.rand(len(x), device=x.device) * (last - first)
            i = first + at.long().clamp_max(last - first - 1)
            cost = self._cost(x, i, rank, every=self.strata < self.stages)
            total = total - (last - first) * cost
        return total

    @torch.no_grad()
    def stage_costs(self, x: Tensor) -> Tensor:
        """Every term at one draw each, (stages, B) nats, the one that begins with nothing first."""
        x = self.data.check(x)
        rank = self._ranks(x)
        every = (x.new_full((len(x),), i) for i in range(self.stages))
        return torch.stack([self._cost(x, i, rank) for i in every])

    def loss(self, x: Tensor) -> Tensor:
        """-elbo (B,) nats; while training at one stage, the batch spread evenly over them."""
        if not self.training:
            return -self.elbo(x)
        x = self.data.check(x, trusted=True)
        place = torch.arange(len(x), device=x.device) + torch.rand(len(x), device=x.device)
        i = (place / len(x) * self.stages).long().clamp_max(self.stages - 1)
        i = i[torch.randperm(len(x), device=x.device)]
        return self.stages * self._cost(x, i, self._ranks(x), every=True)

    def order_log_prob(self, x: Tensor, order: Tensor) -> Tensor:
        """log p(x; o), exact, (B,) nats: entries order[0], order[1], ... (D,), one by one."""
        x = self.data.check(x)
        if not torch.equal(order.sort()[0], torch.arange(self.data.dims, device=order.device)):
            raise ValueError(f"order must hold 0 .. {self.data.dims - 1} once each, got {order}")
        seen, total = torch.zeros_like(x, dtype=self.background.dtype), 0.0
        for d in order.tolist():
            total = total - self._nats(x, seen)[:, d]
            seen.view(len(x), -1)[:, d] = 1
        return total

    # --- drawing ----------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, n: int, *, generator: torch.Generator | None = None, path: list | None = None
    ) -> Tensor:
        """n draws (n, *shape) as stored: in each stage some hidden entries appear.

        ``path`` is a list that gets (x, seen) before every stage.
        """
        n, device = self.data.count(n), self.background.device
        x = torch.zeros(n, *self.data.shape, dtype=torch.long, device=device)
        if not n:
            return self.data.stored(x)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        rank = torch.rand(n, self.data.dims, generator=generator, device=device)
        rank = rank.argsort(1).argsort(1).view_as(x)
        for i in range(self.stages):
            begins, ends = (int(self._begins(torch.tensor(k))) for k in (i, i + 1))
            seen = (rank < begins).to(self.background.dtype)
            if path is not None:
                path.append((x.clone(), seen))
            # every entry is guessed, those that appear now are kept
            logits = self.logits(x, seen)
            race = torch.empty_like(logits).exponential_(generator=generator)
            appears = (rank >= begins) & (rank < ends)
            x = torch.where(appears, (logits - race.log()).argmax(-1), x)
        for module, training in modes:
            module.training = training
        return self.data.stored(x)
