"""Measure a model: nats, bits per dimension, baselines, sampling time, a linear probe."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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


def _log_likelihood(model: nn.Module, k: int, at_once: int) -> Callable[..., Tensor]:
    """Return the function of x that gives log p(x) or the best bound asked for.

    More than ``at_once`` draws of an importance-weighted bound are taken in parts, whose mean
    weights are averaged: the same law of the bound, in bounded memory.
    """
    if k == 1:
        for name in ("log_prob", "elbo"):
            if hasattr(model, name):
                return getattr(model, name)
        raise ValueError(f"model {type(model).__name__} offers neither log_prob(x) nor elbo(x)")
    if not hasattr(model, "iw_bound"):
        raise ValueError(f"k={k} needs iw_bound(x, k), which {type(model).__name__} lacks")
    sizes = [min(at_once, k - done) for done in range(0, k, at_once)]

    def in_parts(x: Tensor, **given: Tensor) -> Tensor:
        parts = [model.iw_bound(x, size, **given) + math.log(size) for size in sizes]
        return torch.stack(parts).logsumexp(0) - math.log(k)

    return in_parts


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
    draws, or, with ``k`` > 1, the importance-weighted bound ``iw_bound(x, k)``. No call is for
    more than ``batch_size`` rows, examples times draws, so memory does not grow with ``k``. The
    standard error is over examples; it is infinite where a test example has no mass. The same
    seed gives the same number; the caller's noise and the model's mode are left as they were.

    Raises
    ------
    ValueError
        ``x`` is no tensor or empty, ``y`` differs in length, a count is no whole number from 1 to
        a million, the model has no such method, or a value is NaN, an infinite log-likelihood, or
        not one per example.
    """
    # what was asked for
    for name, count in (("k", k), ("repeats", repeats), ("batch_size", batch_size)):
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1_000_000:
            raise ValueError(f"{name} must be a whole number from 1 to a million, got {count!r}")
    if not isinstance(x, Tensor) or x.ndim == 0 or len(x) == 0:
        got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be a tensor of at least one example, got {got}")
    if y is not None and len(y) != len(x):
        raise ValueError(f"y has {len(y)} rows, x has {len(x)}")
    # a part of the examples at a time
    log_likelihood, chunk = _log_likelihood(model, k, batch_size), max(1, batch_size // k)
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
    # what came of it
    for wrong, what in ((values.isnan(), "NaN"), (values == -math.inf, "log-likelihood +inf")):
        if wrong.any():
            raise ValueError(f"model gives {what} for example {int(wrong.nonzero()[0])} of x")
    if values.isinf().any():
        return Estimate(math.inf, math.inf, len(x))
    error = values.std().item() / math.sqrt(len(x)) if len(x) > 1 else math.nan
    return Estimate(values.mean().item(), error, len(x))


def bits_per_dim(nats: float | Estimate, shape_or_dims: int | tuple[int, ...]) -> float:
    """Return nats per example as bits per dimension: nats / (dims log 2)."""
    sides = (shape_or_dims,) if isinstance(shape_or_dims, int) else tuple(shape_or_dims)
    if not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"shape_or_dims must hold whole numbers from 1, got {shape_or_dims!r}")
    return float(nats) / (math.prod(sides) * math.log(2))


def baselines(dataset: Any) -> dict[str, float]:
    """Return what knows no model: bits per dimension of the test part, by name.

    Of integers: the uniform law; one histogram for all places, and one for each place, made from
    the training part, unless it is empty; gzip, xz, PNG and WebP of all test examples in one
    stream, so that headers are shared (the last two of pictures with 1 or 3 channels, one below the
    other). Of reals: a Gaussian for each entry.

    Raises
    ------
    ValueError
        ``dataset`` is not one of dgm.data, or holds more than 256 levels and no bytes can be made.
    """
    kind = getattr(dataset, "kind", None)
    if kind is None:
        raise ValueError(f"dataset must be a data set of dgm.data, got {type(dataset).__name__}")
    train, test = dataset.train, dataset.test
    if dataset.levels is None:
        std, mean = torch.std_mean(train.double(), 0)
        law = torch.distributions.Normal(mean, std.clamp_min(1e-12))
        nats = -law.log_prob(test.double()).mean().item()
        return {"Gaussian for each entry": nats / math.log(2)}
    # laws of single entries, made from the training part where there is one
    found = {"uniform": math.log2(dataset.levels)}
    if len(train):
        shared = kind.frequencies(train, pseudo_count=0.5).flatten(0, -2).mean(0)  # (levels,)
        found["one histogram"] = -shared.log2()[test.long()].mean().item()
        each = kind.histogram_nats(train, test).double().mean().item()
        found["histogram for each place"] = bits_per_dim(each, dataset.shape)
    # compressors, which know no law
    if dataset.levels <= 256:
        raw = test.to(torch.uint8).numpy().tobytes()
        sizes = {"gzip": len(gzip.compress(raw, 9)), "xz": len(lzma.compress(raw, preset=9))}
        if len(dataset.shape) == 3 and dataset.shape[0] in (1, 3):
            sizes |= {kind: _picture_bytes(test, kind) for kind in ("PNG", "WebP")}
        found |= {name: 8 * size / test.numel() for name, size in sizes.items()}
    return found


def _picture_bytes(x: Tensor, kind: str) -> int:
    """Bytes of pictures (B, C, H, W), C = 1 or 3, one below the other in lossless PNG or WebP.

    A WebP is at most 16,383 pixels high, so of more pictures there are several files.
    """
    from PIL import Image

    rows = x.to(torch.uint8).movedim(1, -1).flatten(0, 1)  # (B H, W, C)
    high = 16_383 // x.shape[2] * x.shape[2] if kind == "WebP" else len(rows)
    how = dict(lossless=True, method=6) if kind == "WebP" else dict(optimize=True)
    size = 0
    for part in rows.split(high):
        file = io.BytesIO()
        Image.fromarray(part.squeeze(-1).contiguous().numpy()).save(file, kind, **how)
        size += len(file.getvalue())
    return size


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
