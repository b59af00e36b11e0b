"""Measure a model: nats, bits per dimension, sampling time, two-sample tests, a linear probe.

Sources: Gretton et al. (2012), JMLR 13, eq. 3 (unbiased MMD); Szekely and Rizzo (2013), eq. 2
(energy distance); Phipson and Smyth (2010), arXiv:1603.05766, eq. 2 (permutation p-value).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dgm.runtime import derived_seed


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` examples with its standard error; prints as ``93.41 ± 0.52``."""

    mean: float
    standard_error: float
    n: int

    def __str__(self) -> str:
        if not (math.isfinite(self.standard_error) and self.standard_error > 0):
            return f"{self.mean:.2f} ± {self.standard_error:.2g}"
        places = max(0, 1 - math.floor(math.log10(self.standard_error)))  # two digits of the error
        return f"{self.mean:.{places}f} ± {self.standard_error:.{places}f}"

    def __float__(self) -> float:
        return self.mean


@dataclass(frozen=True)
class TwoSample:
    """Distance between two samples and the chance of one as large if their laws were equal."""

    distance: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.distance:.4g} (p = {self.p_value:.3g})"


@contextlib.contextmanager
def measuring(model: nn.Module, seed: int) -> Iterator[torch.device]:
    """Eval mode, no gradient, own noise from ``seed``; everything is as before afterwards.

    Yields the device of the model.
    """
    modes = [(module, module.training) for module in model.modules()]
    tensors = (*model.parameters(), *model.buffers(), torch.empty(0))
    device = tensors[0].device
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed("evaluate", seed))  # never the noise that drew the data
        model.eval()
        try:
            yield device
        finally:
            for module, training in modes:
                module.training = training


def _log_likelihood(model: nn.Module, k: int) -> Callable[..., Tensor]:
    """Return the method of ``model`` that gives log p(x) or the best bound asked for."""
    if k > 1:
        if not hasattr(model, "iw_bound"):
            raise ValueError(f"k={k} needs iw_bound(x, k), which {type(model).__name__} lacks")
        return lambda x, **kw: model.iw_bound(x, k, **kw)
    for name in ("log_prob", "elbo"):
        if hasattr(model, name):
            return getattr(model, name)
    raise ValueError(f"model {type(model).__name__} offers neither log_prob(x) nor elbo(x)")


def nats(
    model: nn.Module,
    x: Tensor,
    *,
    y: Tensor | None = None,
    k: int = 1,
    repeats: int = 1,
    batch_size: int = 256,
    seed: int = 0,
) -> Estimate:
    """Return the negative log-likelihood of ``x`` in nats per example.

    Exact where the model has ``log_prob``, else an upper bound: ``elbo`` averaged over ``repeats``
    draws, or, with ``k`` > 1, the importance-weighted bound ``iw_bound(x, k)`` in batches of
    ``batch_size // k`` examples, so that memory does not grow with ``k``. The standard error is
    over examples. The same seed gives the same number; the caller's noise and the model's mode
    are left as they were.

    Raises
    ------
    ValueError
        ``x`` is empty, ``y`` differs in length, a count is below 1, the model has no such method,
        or a value is NaN or not one per example.
    """
    for name, count in (("k", k), ("repeats", repeats), ("batch_size", batch_size)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if len(x) == 0:
        raise ValueError(f"x is empty: shape {tuple(x.shape)}")
    if y is not None and len(y) != len(x):
        raise ValueError(f"y has {len(y)} rows, x has {len(x)}")
    log_likelihood, chunk = _log_likelihood(model, k), max(1, batch_size // k)
    values = torch.zeros(len(x), dtype=torch.float64)
    with measuring(model, seed) as device:
        for start in range(0, len(x), chunk):
            part = slice(start, start + chunk)
            given = {} if y is None else {"y": y[part].to(device)}
            for _ in range(repeats):
                out = log_likelihood(x[part].to(device), **given)
                if out.shape != values[part].shape:
                    got, need = tuple(out.shape), tuple(values[part].shape)
                    raise ValueError(f"model gave shape {got}; one value per example is {need}")
                values[part] -= out.to("cpu", torch.float64) / repeats
    if values.isnan().any():
        raise ValueError(f"model gives NaN for example {int(values.isnan().nonzero()[0])} of x")
    error = values.std().item() / math.sqrt(len(x)) if len(x) > 1 else math.nan
    return Estimate(values.mean().item(), error, len(x))


def bits_per_dim(nats: float | Estimate, shape_or_dims: int | tuple[int, ...]) -> float:
    """Return nats per example as bits per dimension: nats / (dims log 2)."""
    dims = shape_or_dims if isinstance(shape_or_dims, int) else math.prod(shape_or_dims)
    if dims < 1:
        raise ValueError(f"shape_or_dims must hold at least one dimension, got {shape_or_dims!r}")
    return float(nats) / (dims * math.log(2))


def sampling_time(model: nn.Module, n: int = 64, *, repeats: int = 3, seed: int = 0) -> float:
    """Return milliseconds per sample of ``model.sample(n)``: best of ``repeats`` runs."""
    if n < 1 or repeats < 1:
        raise ValueError(f"n and repeats must be at least 1, got n={n}, repeats={repeats}")
    seconds = []
    with measuring(model, seed) as device:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model.sample(n)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds[1:]) / n


def _points(a: Tensor, b: Tensor) -> Tensor:
    """Stack two samples as rows (N + M, D), float64, after checking them."""
    for name, sample in (("a", a), ("b", b)):
        if sample.ndim == 0 or len(sample) < 2:
            raise ValueError(f"{name} needs at least 2 rows, got shape {tuple(sample.shape)}")
        if not sample.to(torch.float64).isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"a and b differ in shape: {tuple(a.shape[1:])}, {tuple(b.shape[1:])}")
    return torch.cat((a, b)).detach().to("cpu", torch.float64).reshape(len(a) + len(b), -1)


def _permutation_test(kernel: Tensor, n: int, permutations: int, seed: int) -> TwoSample:
    """Squared kernel distance of the first ``n`` rows from the rest, unbiased, and its p-value."""
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    total, m = len(kernel), len(kernel) - n
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.arange(total)]
    orders += [torch.randperm(total, generator=generator) for _ in range(permutations)]
    first = torch.zeros(len(orders), total, dtype=kernel.dtype)
    first.scatter_(1, torch.stack(orders)[:, :n], 1.0)  # (P + 1, N + M): who is in sample one
    kernel = kernel.clone().fill_diagonal_(0)
    rows = first @ kernel
    inside, cross = (rows * first).sum(1), (rows * (1 - first)).sum(1)
    outside = kernel.sum() - inside - 2 * cross
    distance = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2 * cross / (n * m)
    at_least = int((distance[1:] >= distance[0] - 1e-12).sum())
    return TwoSample(distance[0].item(), (1 + at_least) / (1 + permutations))


def mmd(
    a: Tensor, b: Tensor, *, bandwidth: float | None = None, permutations: int = 200, seed: int = 0
) -> TwoSample:
    """Return the unbiased squared maximum mean discrepancy of two samples and its p-value.

    Gaussian kernel exp(-d^2 / (2 bandwidth^2)); the bandwidth is the median distance of the pooled
    sample unless given. Needs memory for (N + M)^2 numbers: a few thousand rows.

    Raises
    ------
    ValueError
        Fewer than two rows, different shapes, values that are not finite, bandwidth <= 0.
    """
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
    points = _points(a, b)
    distances = torch.cdist(points, points)
    if bandwidth is None:
        upper = torch.ones_like(distances, dtype=torch.bool).triu(1)
        bandwidth = distances[upper].median().item() or 1.0
    kernel = (-0.5 * (distances / bandwidth) ** 2).exp()
    return _permutation_test(kernel, len(a), permutations, seed)


def energy_distance(a: Tensor, b: Tensor, *, permutations: int = 200, seed: int = 0) -> TwoSample:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, of two samples and its p-value.

    Has no bandwidth to choose; may be slightly negative when the laws are equal.

    Raises
    ------
    ValueError
        Fewer than two rows, different shapes, values that are not finite.
    """
    points = _points(a, b)
    return _permutation_test(-torch.cdist(points, points), len(a), permutations, seed)


def linear_probe(h: Tensor, y: Tensor, test_h: Tensor, test_y: Tensor, *, c: float = 1.0) -> float:
    """Return the test accuracy of a logistic regression on standardised features ``h`` (N, ...).

    ``c`` is the inverse strength of the L2 penalty. The problem is convex: no seed is involved.

    Raises
    ------
    ValueError
        Features and labels differ in length, or fewer than two classes are in ``y``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for name, features, labels in (("y", h, y), ("test_y", test_h, test_y)):
        if len(features) != len(labels) or len(labels) == 0:
            raise ValueError(f"{name} has {len(labels)} labels for {len(features)} rows")
    if len(y.unique()) < 2:
        raise ValueError(f"y holds one class only: {y.unique().tolist()}")
    rows, test_rows = (t.detach().cpu().flatten(1).double().numpy() for t in (h, test_h))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
    return float(probe.fit(rows, y.cpu().numpy()).score(test_rows, test_y.cpu().numpy()))
