"""Checks of the interface: shapes, independence over the batch, eval mode, samples."""

from __future__ import annotations

import torch
from torch import Tensor

from dgm.audit.report import Finding
from dgm.audit.subject import DoesNotApply, Subject, seeded

_DETERMINISTIC = ("log_prob", "energy")
_PER_EXAMPLE = (*_DETERMINISTIC, "elbo", "loss")


def shapes(s: Subject) -> Finding:
    """Every method returns one finite number per example."""
    wrong, seen = [], []
    with torch.no_grad():
        found = {n: s.call(n, s.x) for n in _PER_EXAMPLE if s.offers(n)}
        if s.offers("iw_bound"):
            found["iw_bound"] = s.call("iw_bound", s.x, 3)
        if s.invertible:
            found["log_det"] = s.call("forward", s.x)[1]
    if not found:
        raise DoesNotApply("the model has none of log_prob, elbo, iw_bound, energy, loss, forward")
    for name, value in found.items():
        seen.append(name)
        if tuple(value.shape) != (len(s.x),):
            wrong.append(f"{name} has shape {tuple(value.shape)}, not ({len(s.x)},)")
        elif not value.isfinite().all():
            wrong.append(f"{name} is not finite")
    note = "; ".join(wrong) or f"{', '.join(seen)}: ({len(s.x)},), finite"
    return Finding(len(wrong), 0, note)


def per_example(s: Subject) -> Finding:
    """The value of an example does not depend on its companions in the batch."""
    if len(s.x) < 2:
        raise DoesNotApply("x holds a single example")
    names = [n for n in (*_DETERMINISTIC, "elbo") if s.offers(n)]
    gaps = {n: _gap_noisy(s) if n == "elbo" else _gap(s, n) for n in names}
    if s.invertible:
        gaps["forward"] = _gap(s, "forward")
    if not gaps:
        raise DoesNotApply("the model has none of log_prob, elbo, energy, forward")
    worst = max(gaps, key=lambda n: float("inf") if gaps[n] != gaps[n] else gaps[n])
    note = f"largest for {worst}: alone, in the batch, and among other examples"
    return Finding(gaps[worst], 1e-6, note)


@torch.no_grad()
def _gap(s: Subject, name: str) -> float:
    """Largest relative difference of rows evaluated in different company."""
    half = (len(s.x) + 1) // 2
    y = (None, None, None) if s.y is None else (s.y[:half], s.y[:1], s.y.flip(0))
    batches = (s.x[:half], s.x[:1], s.x.flip(0))
    whole = _flat(s.call(name, s.x))
    part, alone, other = (_flat(s.call(name, b, y=c)) for b, c in zip(batches, y, strict=True))
    gap = 0.0
    for a, b in ((part, whole[:half]), (alone, whole[:1]), (other.flip(0), whole)):
        gap = max(gap, ((a - b).abs() / (1 + b.abs())).max().item())
    return gap


def _flat(value: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """One row of numbers per example; (z, log_det) side by side."""
    parts = value if isinstance(value, tuple) else (value,)
    return torch.cat([p.reshape(len(p), -1) if p.dim() else p.view(1, 1) for p in parts], 1)


def _gap_noisy(s: Subject, repeats: int = 128) -> float:
    """For a noisy bound: excess over six standard errors of row 0 alone and in the batch.

    In a batch of its own copies, under the same noise, it must even stay what it was.
    """
    y = None if s.y is None else s.y[:1]
    with seeded(s.seed):
        mixed, state = s.draws("elbo", s.x, repeats=repeats)[:, 0], torch.get_rng_state()
    with seeded(s.seed):
        other = s.draws("elbo", s.x[:1].expand_as(s.x), repeats=repeats)[:, 0]
        same_noise = y is None and torch.equal(state, torch.get_rng_state())
    with torch.no_grad():
        alone = torch.cat([s.call("elbo", s.x[:1], y=y).reshape(1) for _ in range(repeats)])
    error = (mixed.var() + alone.var()).sqrt() / repeats**0.5
    gap = max(0.0, ((mixed.mean() - alone.mean()).abs() - 6 * error).item())
    return max(gap, ((mixed - other) / (1 + mixed.abs())).abs().max().item() * same_noise)


@torch.no_grad()
def eval_mode(s: Subject) -> Finding:
    """In eval mode an exact value is the same twice, and nothing in the model changes."""
    before = {k: v.clone() for k, v in s.model.state_dict(keep_vars=False).items()}
    names = [n for n in (*_DETERMINISTIC, "elbo", "forward") if s.offers(n)]
    if not names:
        raise DoesNotApply("the model has none of log_prob, energy, elbo, forward")
    faults = []
    for name in names:
        twice = [s.call(name, s.x) for _ in range(2)]
        if name != "elbo" and (name != "forward" or s.invertible):
            a, b = (_flat(value) for value in twice)
            if not torch.equal(a.nan_to_num(), b.nan_to_num()):
                faults.append(f"{name} differs between two calls by {(a - b).abs().max():.2g}")
    if s.offers("sample"):
        s.sample(2)
    after = s.model.state_dict()
    moved = [k for k in before if not torch.equal(before[k].nan_to_num(), after[k].nan_to_num())]
    faults += [f"{k} changed" for k in moved]
    note = "; ".join(faults) or f"{', '.join(names)} twice; {len(before)} tensors unchanged"
    return Finding(len(faults), 0, note)


def samples_well_formed(s: Subject) -> Finding:
    """`sample(n)` gives n examples as stored, finite, in range, without gradient."""
    s.needs("sample")
    faults = []
    for n in (1, 5):
        x = s.model.sample(n) if s.y is None else s.sample(n)
        if tuple(x.shape) != (n, *s.shape):
            faults.append(f"sample({n}) has shape {tuple(x.shape)}, not {(n, *s.shape)}")
        if x.requires_grad:
            faults.append("samples carry a gradient")
        if x.is_floating_point() == s.discrete:
            faults.append(f"samples are {x.dtype}, the data {s.x.dtype}")
        if not x.isfinite().all():
            faults.append("samples are not finite")
        elif s.discrete and s.levels and not ((x >= 0) & (x < s.levels)).all():
            faults.append(f"samples leave 0..{s.levels - 1}")
    note = "; ".join(dict.fromkeys(faults)) or f"(n, {', '.join(map(str, s.shape))}), {x.dtype}"
    return Finding(len(faults), 0, note)
