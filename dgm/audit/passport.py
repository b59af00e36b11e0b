"""`audit(model, x)`: run every check that applies and return the table."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from dgm.audit import batch, bins, bound, causal, density, invertible, latent, state
from dgm.audit.report import NOT_APPLICABLE, Check, Finding, Report
from dgm.audit.subject import DoesNotApply, Subject, seeded

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "shape (B,) and finite": batch.shapes,
    "one example = its row in a batch": batch.per_example,
    "eval mode: same twice, no change": batch.eval_mode,
    "samples are well formed": batch.samples_well_formed,
    "round trip": invertible.round_trip,
    "log_det = autograd": invertible.log_det,
    "sums or integrates to one": density.total,
    "samples follow the density": density.samples_follow,
    "log_prob = reference": density.reference,
    "no leak from the future": causal.no_leak,
    "log_prob = sum of conditionals": causal.sum_of_conditionals,
    "samples follow the conditionals": causal.samples_follow_conditionals,
    "posterior draws follow log q": latent.posterior_density,
    "prior samples follow its density": latent.prior_density,
    "p(x|z) sums or integrates to one": latent.likelihood_total,
    "samples of x|z follow p(x|z)": latent.likelihood_samples,
    "samples = prior, then x|z": latent.samples_follow_parts,
    "elbo = log p(x, z) - log q": latent.elbo_of_parts,
    "kl term = log q - log p(z)": latent.kl_term,
    "elbo = iw_bound(1) in mean": bound.elbo_is_iw_1,
    "iw_bound = log mean of k weights": bound.iw_of_weights,
    "iw_bound rises with k": bound.bounds_rise,
    "bounds <= exact": bound.below_exact,
    "exp(elbo) sums to one": bound.weights_sum,
    "noise fills its bin": bins.noise_fills_bin,
    "uniform scores log2(levels) bits": bins.bits,
    "bin masses sum to one": bins.bins_total,
    "exp(elbo) averages to the bin mass": bins.bin_masses,
    "samples follow the bin masses": bins.bin_frequencies,
    "every parameter gets a gradient": state.gradients,
    "every tensor is registered": state.registered,
    "state_dict round trip": state.state_dict,
    "float32 = float64": state.single_precision,
}
_METHODS = ("log_prob", "elbo", "iw_bound", "energy", "loss", "sample", "forward")


def audit(
    model: nn.Module,
    x: Tensor,
    *,
    y: Tensor | None = None,
    levels: int | None = None,
    bounds: tuple[float | Tensor, float | Tensor] | None = None,
    randomize: float = 0.5,
    seed: int = 0,
    reference: Callable[[Tensor], Tensor] | None = None,
) -> Report:
    """Check that a model keeps what its methods promise.

    Works on a deep copy in float64, in eval mode, with weights moved away from the initial
    point; the model itself is left alone. What a model offers is read off its methods
    (`log_prob`, `elbo`, `iw_bound`, `sample`, `forward` and `inverse`, `loss`, `energy`).

    Parameters
    ----------
    model : any `nn.Module` with one of these methods.
    x : Tensor
        A batch (B, ...) of data as stored: integers for pixels and tokens, floats for tables.
    y : conditions of the batch, (B, ...), passed as `y=` to methods that take it.
    levels : number of integer values; `model.levels` if None. At least 2.
    bounds : (low, high) of the support of a density, numbers or (D,); found from samples if None.
    randomize : standard deviation of the move; a matrix moves by this over sqrt(inputs). It is
        halved, up to four times, where values overflow or a flow becomes too steep for float64.
    reference : the exact log p, x -> (B,) nats, to hold `log_prob` or the bounds against.

    Returns
    -------
    Report
        A table; `report.passed`, `report.assert_passed()`, `report["round trip"]`.

    Raises
    ------
    ValueError
        For a model without any of the methods, or an empty, not finite or out-of-range batch.

    Examples
    --------
    >>> import torch
    >>> class Bit(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.logit = torch.nn.Parameter(torch.zeros(()))
    ...     def log_prob(self, x):
    ...         return torch.nn.functional.logsigmoid((2 * x[:, 0] - 1) * self.logit)
    >>> audit(Bit(), torch.tensor([[0], [1]]), levels=2).passed
    True
    """
    levels = getattr(model, "levels", None) if levels is None else levels
    _validate(model, x, y, levels, randomize)
    with seeded(seed):
        trial = _prepare(model, x, y, randomize)
    x, y = (t.detach().double() if t is not None and t.is_floating_point() else t for t in (x, y))
    subject = Subject(trial, x, y, levels, _bounds(bounds, x), seed, reference)
    checks = tuple(_run(name, check, subject) for name, check in CHECKS.items())
    return Report(f"Audit of {type(model).__name__}", checks)


def _validate(
    model: nn.Module, x: Tensor, y: Tensor | None, levels: int | None, randomize: float
) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")
    if not any(callable(getattr(model, n, None)) for n in _METHODS[:-1]) and (
        type(model).forward is nn.Module.forward
    ):
        raise ValueError(f"model must have one of {', '.join(_METHODS)}; it has none")
    if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
        raise ValueError(f"x must be a tensor with at least one example, got {_describe(x)}")
    if not x.isfinite().all():
        raise ValueError("x holds NaN or infinite values")
    if y is not None and (not isinstance(y, Tensor) or len(y) != len(x)):
        raise ValueError(f"y must be a tensor with {len(x)} conditions, got {_describe(y)}")
    if levels is not None and (not isinstance(levels, int) or levels < 2):
        raise ValueError(f"levels must be a whole number of at least 2, got {levels!r}")
    if (
        levels is not None
        and not x.is_floating_point()
        and not 0 <= int(x.min()) <= int(x.max()) < levels
    ):
        raise ValueError(f"x must lie in 0..{levels - 1}, got {int(x.min())}..{int(x.max())}")
    if not 0 <= randomize < math.inf:
        raise ValueError(f"randomize must be zero or more, got {randomize}")


def _describe(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _bounds(bounds: tuple | None, x: Tensor) -> tuple[Tensor, Tensor] | None:
    if bounds is None:
        return None
    size = x[0].numel()
    low, high = (torch.as_tensor(b, dtype=torch.float64).flatten() for b in bounds)
    if len(low) not in (1, size) or len(high) not in (1, size) or not (low < high).all():
        raise ValueError(f"bounds must be (low, high) with low < high, for {size} dimensions")
    return low.expand(size), high.expand(size)


def _prepare(model: nn.Module, x: Tensor, y: Tensor | None, randomize: float) -> nn.Module:
    """A copy in float64, initialised on x, its weights moved, in eval mode."""
    trial = copy.deepcopy(model).to("cpu").double()
    x = x.double() if x.is_floating_point() else x
    first = Subject(trial.train(), x, y)
    name = next((n for n in ("loss", "log_prob", "elbo", "energy") if first.offers(n)), None)
    if name is not None:
        with suppress(Exception), torch.no_grad():  # the checks report what goes wrong here
            first.call(name, x)
    moved = _moved(trial, randomize)
    for half in range(1, 5):  # a deep stack may need a smaller move to stay in range
        if _in_range(Subject(moved, x, y), name):
            break
        moved = _moved(trial, randomize / 2**half)
    return moved


@torch.no_grad()
def _moved(model: nn.Module, randomize: float) -> nn.Module:
    """A copy in eval mode with every weight moved at random."""
    moved = copy.deepcopy(model).eval()
    for p in moved.parameters():
        if p.is_floating_point():
            fan_in = p[0].numel() if p.dim() > 1 else 1
            p.add_(torch.randn_like(p), alpha=randomize / math.sqrt(fan_in))
    return moved


@torch.no_grad()
def _in_range(s: Subject, name: str | None, n: int = 256) -> bool:
    """Whether values are finite, a flow can tell its own samples apart in float64, and the
    samples of a plane can be covered by a grid: the move shall hide no fault behind rounding."""
    with suppress(Exception):  # out of range too; what still fails after a smaller move is reported
        if name is not None and not s.call(name, s.x).isfinite().all():
            return False
        if s.invertible and s.offers("sample"):
            drawn = s.sample(n)
            own = _returning(s, drawn, s.first_y(n))
            compact = _compact(drawn.flatten(1), s.x.flatten(1))
            return _returning(s, s.x, s.y) == 1 and own > 0.95 and compact
        return True
    return False


def _compact(drawn: Tensor, x: Tensor) -> bool:
    """Whether draws (N, D), D <= 2, are no heap of spikes and tails, nor far wider than the data.

    98 % of them must lie within 20 times the width of their inner half, and 100 times that of x.
    """
    if drawn.shape[1] > 2:
        return True
    q = drawn.quantile(drawn.new_tensor([0.01, 0.25, 0.75, 0.99]), dim=0)
    limit = torch.minimum(20 * (q[2] - q[1]), 100 * (x.amax(0) - x.amin(0)).clamp_min(0.1))
    return bool((q[3] - q[0] <= limit).all())


def _returning(s: Subject, x: Tensor, y: Tensor | None) -> float:
    """Share of x that inverse(forward(x)) gives back."""
    again = s.call("inverse", s.call("forward", x, y=y)[0], y=y)
    close = ((again - x).abs() <= 5e-6 * (1 + x.abs())).reshape(len(x), -1).all(1)
    return close.double().mean().item()


def _run(name: str, check: Callable[[Subject], Finding], subject: Subject) -> Check:
    """One check under its own seed; an error inside the model is a failure with its message."""
    try:
        with seeded(subject.seed + sum(map(ord, name))):
            return Check.judge(name, check(subject))
    except DoesNotApply as reason:
        return Check(name, None, None, NOT_APPLICABLE, str(reason))
    except Exception as error:
        return Check.judge(name, Finding(math.inf, 0, f"{type(error).__name__}: {error}"))
