"""`audit(model, x)`: run every check that applies and return the table."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dgm.audit import batch, bins, bound, causal, density, invertible, latent, state, stein
from dgm.audit.prepare import prepared
from dgm.audit.report import Check, Finding, LeftOut, Report
from dgm.audit.subject import Subject, seeded, working_in

CHECKS: dict[str, Callable[[Subject], Finding | LeftOut]] = {
    "shape (B,) and finite": batch.shapes,
    "one example = its row in a batch": batch.per_example,
    "eval mode: same twice, no change": batch.eval_mode,
    "samples are well formed": batch.samples_well_formed,
    "round trip": invertible.round_trip,
    "log_det = autograd": invertible.log_det,
    "sums or integrates to one": density.total,
    "samples follow the density": density.samples_follow,
    "samples obey Stein's identity": stein.stein,
    "samples obey the Gibbs identity": stein.gibbs,
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
    progress: bool = True,
) -> Report:
    """Check that a model keeps what its methods promise.

    Works on a deep copy in float64 (float32 where the model casts inside), in eval mode, with
    weights moved away from the initial point; the model itself is left alone. What a model is, is
    found out from what its methods answer (`log_prob`, `elbo`, `iw_bound`, `sample`, `forward` and
    `inverse`, `loss`, `energy`, `posterior`, `likelihood`, `prior`). Work that would take long is
    refused before it is begun: an audit takes at most half a minute of one core on 28 by 28
    pictures, and the lines left out say so.

    Parameters
    ----------
    model : any `nn.Module` with one of these methods.
    x : Tensor
        A batch (B, ...) of data as stored: integers for pixels and tokens, floats for tables.
        Floats that are all whole numbers are taken for levels.
    y : conditions of the batch, (B, ...), passed as `y=` to methods that take it.
    levels : number of integer values, at least 2; if None that of `model.data` or `model.levels`,
        of the logits, or what the batch shows.
    bounds : (low, high) of the support of a density, numbers or (D,); found from samples if None.
    randomize : standard deviation of the move; a matrix moves by this over sqrt(inputs). It is
        halved, up to four times, where values overflow or a flow becomes too steep for float64.
    reference : the exact log p, x -> (B,) nats, to hold `log_prob` or the bounds against.
    progress : a bar in the terminal where it takes over two seconds.

    Returns
    -------
    Report
        A table below a line that says what was decided: density, bound, samples, gradients, or
        nothing. `report.passed` asks that no line failed and that what the model claims was
        decided; `report.assert_passed()`, `report["round trip"]`.

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
    _validate(model, x, y, levels, randomize)
    options = {"bounds": _bounds(bounds, x), "seed": seed, "reference": reference}
    subject, precision = prepared(model, x, y, levels, randomize, options)
    with working_in(precision):
        bar = tqdm(
            CHECKS.items(), "audit", delay=2, leave=False, disable=None if progress else True
        )
        checks = tuple(_run(name, check, subject) for name, check in bar)
    return Report(f"Audit of {type(model).__name__}", checks, subject.facts.claims)


def _validate(
    model: nn.Module, x: Tensor, y: Tensor | None, levels: int | None, randomize: float
) -> None:
    # the model
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")
    if not any(callable(getattr(model, n, None)) for n in _METHODS[:-1]) and (
        type(model).forward is nn.Module.forward
    ):
        raise ValueError(f"model must have one of {', '.join(_METHODS)}; it has none")
    # the batch
    if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
        raise ValueError(f"x must be a tensor with at least one example, got {_describe(x)}")
    if not x.isfinite().all():
        raise ValueError("x holds NaN or infinite values")
    if y is not None and (not isinstance(y, Tensor) or len(y) != len(x)):
        raise ValueError(f"y must be a tensor with {len(x)} conditions, got {_describe(y)}")
    # the options
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


def _run(name: str, check: Callable[[Subject], Finding | LeftOut], subject: Subject) -> Check:
    """One check under its own seed; an error inside the model is a failure with its message."""
    try:
        with seeded(subject.seed + sum(map(ord, name))):
            return Check.judge(name, check(subject))
    except Exception as error:
        return Check.judge(name, Finding(math.inf, 0, f"{type(error).__name__}: {error}"))
