"""Solve an ordinary differential equation: adaptive or fixed steps, evaluations counted.

Dormand and Prince (1980), doi:10.1016/0771-050X(80)90013-3, as torchdiffeq has it: Chen, Rubanova,
Bettencourt and Duvenaud (2018), arXiv:1806.07366. Needs torch and torchdiffeq.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
FIXED = ("euler", "midpoint", "rk4", "heun2")


class Solver(nn.Module):
    """``solver(field, state, start, end)``: the state at ``end``.

    Parameters
    ----------
    method : str
        Adaptive ("dopri5" ...) or of fixed steps ("euler", "midpoint", "heun2", "rk4").
    tol : float
        Relative and absolute tolerance of adaptive methods, over the whole batch.
    steps : int
        Of fixed-step methods.
    adjoint : bool
        Solve a second equation backwards for the gradient: memory does not grow with the steps,
        and gradients are as good as the tolerance only.

    Notes
    -----
    Own attribute: ``evaluations``, of the field in the last solve.

    Examples
    --------
    >>> solver = Solver("dopri5", tol=1e-6)
    >>> grown = solver(lambda t, state: state, (torch.ones(1, 1),), 0.0, 1.0)[0]
    >>> round(grown.item(), 4), solver.evaluations > 6
    (2.7183, True)
    """

    def __init__(
        self, method: str = "dopri5", tol: float = 1e-5, steps: int = 8, adjoint: bool = False
    ):
        super().__init__()
        if method not in ADAPTIVE + FIXED:
            raise ValueError(f"method must be one of {ADAPTIVE + FIXED}, got {method!r}")
        if not 0 < tol < 1 or steps < 1:
            raise ValueError(f"tol must lie in (0, 1), steps be at least 1, got {tol} and {steps}")
        self.method, self.tol, self.steps, self.adjoint = method, tol, steps, adjoint
        self.evaluations = 0

    def forward(
        self, field: Callable, state: tuple[Tensor, ...], start: float, end: float
    ) -> tuple[Tensor, ...]:
        """State at ``end`` of d state / dt = field(t, state), a tuple of tensors.

        Raises
        ------
        ValueError
            The adaptive step became smaller than rounding; it says the step, time and tolerance.
        """
        self.evaluations = 0
        fixed = self.method in FIXED
        like = state[0]
        times = torch.linspace(start, end, self.steps + 1 if fixed else 2)
        times = times.to(dtype=like.dtype, device=like.device)

        def counted(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            self.evaluations += 1
            return field(t, state)

        # the solver of torchdiffeq; with adjoint it must be told whose gradients are wanted
        extra = {}
        if self.adjoint:
            wanted = field.parameters() if isinstance(field, nn.Module) else ()
            extra["adjoint_params"] = tuple(wanted)
        solve = odeint_adjoint if self.adjoint else odeint
        try:
            path = solve(
                counted, state, times, method=self.method, rtol=self.tol, atol=self.tol, **extra
            )
        except AssertionError as reason:
            raise _named(reason, self.method, self.tol) from reason
        return tuple(part[-1] for part in path)


def _named(reason: AssertionError, method: str, tol: float) -> ValueError:
    """The words of torchdiffeq as an error that says what can be done."""
    step = re.search(r"underflow in dt ([-+.\deE]+|nan)", str(reason))
    if step is None:
        return ValueError(f"{method} stopped at tol = {tol:g}: {reason}")
    return ValueError(
        f"{method} needs a step of {step[1]} to reach tol = {tol:g}, smaller than rounding: the "
        "field is too steep or not finite there, or tol is too small for its precision"
    )
