"""The chain rule as a model: p(x) = prod_t p(x_t | those before it), exact, in any order.

Larochelle & Murray (2011), NADE, PMLR 15, eqs. 1-2; any order: Uria, Murray & Larochelle (2014),
arXiv:1310.1757, section 3; labels: van den Oord et al. (2016), arXiv:1606.05328, eq. 4. Pixels,
tokens, tables and series differ in the network and in the law of one value only, and both come in
as arguments (law.py; dgm/nets). Needs torch only.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Autoregressive(nn.Module):
    """p(x) = prod_t p(x_order[t] | x_order[0], ..., x_order[t - 1]), each factor by ``net``.

    Parameters
    ----------
    net : nn.Module
        Causal: ``net(v, *y)`` maps the values in their order, (B, D), to (B, D, O), row t a
        function of ``v[:, :t]`` only. If it also has ``step(t, v, state, *y) -> (out (B, O),
        state)``, where ``v[:, :t]`` is final and ``state`` None at first, draws are made with it:
        the same draws, without computing earlier rows again.
    law : nn.Module
        One value given those before it: ``law(out)`` makes parameters (B, D, K) of the network's
        numbers, ``law(out, t)`` those of place t alone; ``log_prob(params, v)`` (B, D) nats and
        ``draw(params, temperature, adjust, generator)``, params (B, K); and
        ``start_from(x, data, order)``, which modules of the network may have as well.
    data : Levels or Reals (support.py)
        What x is: ``shape``, ``check(x)``, ``stored(v)``, ``count(n)``.
    order : sequence of D ints, optional
        order[t] is the flat index of the variable that comes t-th; as stored when left out.
    condition : Levels, optional
        What ``y`` is: ``Levels((), 10)`` for labels, all equally likely and summed out where they
        are not given; another shape for a map that must be given.

    Notes
    -----
    Own methods: ``in_order``, the checked values (B, D) as the network sees them.

    Examples
    --------
    >>> from dgm.autoregressive.law import LevelLaw
    >>> from dgm.distribution.support import Levels
    >>> from dgm.nets.fvsbn import FVSBN
    >>> from dgm.nets.value_embedding import LevelVectors
    >>> data, law = Levels((1, 2, 2), 3), LevelLaw(3, size=4)
    >>> net = FVSBN(4, LevelVectors(3), law.out_features)
    >>> model = Autoregressive(net, law, data, order=[3, 1, 0, 2])
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        net: nn.Module,
        law: nn.Module,
        data: object,
        order: Sequence[int] | Tensor | None = None,
        condition: object = None,
    ):
        super().__init__()
        self.net, self.law, self.data, self.condition = net, law, data, condition
        order = torch.as_tensor(range(data.dims) if order is None else order)
        if order.shape != (data.dims,) or order.sort().values.tolist() != list(range(data.dims)):
            raise ValueError(
                f"order must hold each of 0 .. {data.dims - 1} once, got shape "
                f"{tuple(order.shape)}: {order.flatten().tolist()[:8]} ..."
            )
        self.register_buffer("order", order.long(), persistent=False)
        self.register_buffer("rank", order.argsort(), persistent=False)

    # --- the probability --------------------------------------------------------------------------

    def in_order(self, x: Tensor, name: str = "x") -> Tensor:
        """The variables of x (B, *shape) as they come, (B, D); a ValueError that names x."""
        return self.data.check(x, name, trusted=self.training).flatten(1)[:, self.order]

    def _stacked(self, v: Tensor) -> Tensor:
        """Parameters under every label in turn, (n_labels, B, D, K)."""
        labels = torch.arange(self.condition.levels, device=v.device)
        return torch.stack([self.law(self.net(v, y.expand(len(v)))) for y in labels])

    def _terms(self, v: Tensor, y: Tensor | None) -> Tensor:
        """log p(v_t | v_<t, y), (B, D); without y its labels are summed out, if it has any."""
        given = self._given(y, len(v))
        if given is not None:
            return self.law.log_prob(self.law(self.net(v, *given)), v)
        each = self.law.log_prob(self._stacked(v), v)  # (n_labels, B, D)
        so_far = each.cumsum(2).logsumexp(0) - math.log(len(each))  # log p(v_<=t)
        return so_far.diff(dim=1, prepend=torch.zeros_like(so_far[:, :1]))

    def place_terms(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x_d | those before), (B, *shape) nats; they add up to `log_prob`."""
        return self._terms(self.in_order(x), y)[:, self.rank].view(x.shape)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Exact log p(x | y), (B,) nats; where labels are left out, log p(x) = log mean_y p(x | y).

        Raises
        ------
        ValueError
            x or y is not what ``data`` and ``condition`` say.
        """
        return self._terms(self.in_order(x), y).sum(1)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, y) of every label, (B, n_labels) nats, for a model with labels."""
        if not self._has_labels():
            raise ValueError("joint_log_prob needs labels: condition=Levels((), n_labels)")
        v = self.in_order(x)
        each = self.law.log_prob(self._stacked(v), v).sum(2)  # (n_labels, B)
        return each.T - math.log(len(each))

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Exact negative `log_prob`, (B,) nats."""
        return -self.log_prob(x, y)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Parameters of every p(x_d | those before), (B, *shape, K), where x_d lies in x.

        Where labels are summed out: log masses of all levels, p(y | those before) weighing them.
        """
        v = self.in_order(x)
        given = self._given(y, len(v))
        if given is not None:
            params = self.law(self.net(v, *given))
        else:
            table = self.law.table(self._stacked(v))  # (n_labels, B, D, levels)
            own = table.gather(-1, v.expand(len(table), *v.shape).unsqueeze(-1)).squeeze(-1)
            weights = (own.cumsum(2) - own).log_softmax(0)  # log p(y | v_<t)
            params = (weights.unsqueeze(-1) + table).logsumexp(0)
        return params[:, self.rank].view(*x.shape, -1)

    def start_from(self, x: Tensor) -> None:
        """Start every variable at its own marginal in x (N, *shape), before it looks at others."""
        x = self.data.check(x)
        for part in (self.law, *self.net.modules()):
            if hasattr(part, "start_from"):
                part.start_from(x, self.data, self.order)

    # --- conditions -------------------------------------------------------------------------------

    def _has_labels(self) -> bool:
        return self.condition is not None and self.condition.shape == ()

    def _given(self, y: Tensor | None, n: int) -> tuple[Tensor, ...] | None:
        """What the network gets beside the values; None where labels are to be summed out."""
        if self.condition is None:
            if y is not None:
                raise ValueError("y was given, but this model was built without a condition")
            return ()
        if y is None:
            if self._has_labels():
                return None
            raise ValueError(f"y must be given: {self.condition} of {self.condition.shape}")
        y = torch.as_tensor(y, device=self.order.device)
        y = y.expand(n, *self.condition.shape) if y.shape == self.condition.shape else y
        y = self.condition.check(y, "y", trusted=self.training)
        if len(y) != n:
            raise ValueError(f"y must have one row for each of the {n} of x, got {len(y)}")
        return (y,)

    # --- drawing ----------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        y: Tensor | None = None,
        known: Tensor | None = None,
        mask: Tensor | None = None,
        temperature: float = 1.0,
        adjust: Callable[[Tensor], Tensor] | None = None,
        cached: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw (n, *shape), as stored, one variable after the other, in eval mode.

        Parameters
        ----------
        y : the condition, one for all or one for each draw; labels left out are drawn uniformly,
            whatever is known.
        known, mask : (n or 1, *shape) values kept where the boolean mask, (*shape) or like known,
            is True. An exact draw given them (and y) if all that is known comes first in the order.
        temperature : sharpens every factor below 1; 1 draws from the model.
        adjust : a last word on the log masses (n, levels) of a value, such as a cut to the
            likeliest.
        cached : compute only what the next variable needs, if the network can; the same draws.
        generator : on the model's device; equal ones give equal draws.
        """
        n = self.data.count(n)
        if not 0 < temperature < math.inf:
            raise ValueError(
                f"temperature must be above 0 and finite, got {temperature}; for its limit, the "
                "likeliest value every time, pass adjust=greedy"
            )
        v, kept = self._blank(n, known, mask)  # (n, D) both
        if n == 0:
            return self.data.stored(v.view(0, *self.data.shape))
        if y is None and self._has_labels():
            y = torch.randint(self.condition.levels, (n,), generator=generator, device=v.device)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        cached = cached and hasattr(self.net, "step")
        self._draw_into(v, kept, self._given(y, n), cached, (temperature, adjust, generator))
        for module, training in modes:
            module.training = training
        return self.data.stored(v[:, self.rank].view(n, *self.data.shape))

    def _draw_into(
        self, v: Tensor, kept: Tensor, given: tuple[Tensor, ...], cached: bool, how: tuple
    ) -> None:
        """Draw v (n, D) place by place where it is not kept; ``how`` goes to the law's draw."""
        all_kept, any_kept, state = kept.all(0).tolist(), kept.any(0).tolist(), None
        for t in range(v.shape[1]):
            if cached:
                out, state = self.net.step(t, v, state, *given)  # (n, O)
            elif not all_kept[t]:
                out = self.net(v, *given)[:, t]
            if not all_kept[t]:
                params = self.law(out[:, None], t)[:, 0]  # (n, K)
                drawn = self.law.draw(params, *how)
                v[:, t] = torch.where(kept[:, t], v[:, t], drawn) if any_kept[t] else drawn

    def _blank(self, n: int, known: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Values before the first draw and where they stay, (n, D) each, in the order."""
        if (known is None) != (mask is None):
            raise ValueError("known and mask come together: values, and where to keep them")
        blank = self.law.blank(n, self.data.dims)
        if known is None:
            return blank, torch.zeros_like(blank, dtype=torch.bool)
        v = self.in_order(torch.as_tensor(known, device=blank.device), "known")
        if len(v) not in (1, n):
            raise ValueError(f"known must hold 1 or {n} examples, got {len(v)}")
        if mask.dtype != torch.bool or tuple(mask.shape) not in (self.data.shape, known.shape):
            raise ValueError(
                f"mask must be boolean {self.data.shape} or {tuple(known.shape)}, True where known;"
                f" got {mask.dtype} {tuple(mask.shape)}"
            )
        kept = mask.to(blank.device).expand(n, *self.data.shape).flatten(1)[:, self.order]
        return torch.where(kept, v, blank), kept
