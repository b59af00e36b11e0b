"""Checks of the interface: shapes, independence over the batch, eval mode, samples."""

from __future__ import annotations

import torch
from torch import Tensor

from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject, seeded

_DETERMINISTIC = ("log_prob", "energy")
_PER_EXAMPLE = (*_DETERMINISTIC, "elbo", "loss")


_NONE = LeftOut("the model has none of log_prob, elbo, energy, forward")


@torch.no_grad()
def shapes(s: Subject) -> Finding | LeftOut:
    """Every method returns one finite number per example; a loss may be their mean."""
    # every value there is
    wrong, seen = [f"{name}: {fault}" for name, fault in s.facts.faults.items()], []
    found = {n: s.call(n, s.x) for n in _PER_EXAMPLE if s.offers(n)}
    if s.offers("iw_bound"):
        found["iw_bound"] = s.call("iw_bound", s.x, 3)
    if s.facts.flow == "sure":
        found["log_det"] = s.flow(s.x)[1]
    if not found and not wrong:
        return LeftOut("the model has none of log_prob, elbo, iw_bound, energy, loss, forward")
    # one finite number for each example
    for name, value in found.items():
        seen.append(name)
        if tuple(value.shape) != (len(s.x),) and (name != "loss" or value.dim() > 0):
            wrong.append(f"{name} has shape {tuple(value.shape)}, not ({len(s.x)},)")
        elif not value.isfinite().all():
            wrong.append(f"{name} is not finite")
    note = "; ".join(wrong) or f"{', '.join(seen)}: ({len(s.x)},), finite"
    return Finding(len(wrong), 0, note)


def per_example(s: Subject) -> Finding | LeftOut:
    """The value of an example does not depend on its companions in the batch."""
    if len(s.x) < 2:
        return LeftOut("x holds a single example")
    gaps = {n: _gap(s, n) for n in _DETERMINISTIC if s.offers(n)}
    repeats = s.rows("elbo", 128 * len(s.x)) // len(s.x) if s.offers("elbo") else 0
    if repeats >= 16:
        gaps["elbo"] = _gap_noisy(s, repeats)
    if s.facts.flow == "sure":
        gaps["forward"] = _gap(s, "forward")
    if not gaps:
        return _NONE
    worst = max(gaps, key=lambda n: float("inf") if gaps[n] != gaps[n] else gaps[n])
    note = f"largest for {worst}: alone, in the batch, and among other examples"
    return Finding(gaps[worst], s.tight, note)


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


def _gap_noisy(s: Subject, repeats: int) -> float:
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
def eval_mode(s: Subject) -> Finding | LeftOut:
    """In eval mode an exact value is the same twice, and nothing in the model changes."""
    before = {k: v.clone() for k, v in s.model.state_dict(keep_vars=False).items()}
    names = [n for n in (*_DETERMINISTIC, "elbo", "forward") if s.offers(n)]
    if not names:
        return _NONE
    # the same twice
    faults = []
    for name in names:
        twice = [s.call(name, s.x) for _ in range(2)]
        if name != "elbo" and (name != "forward" or s.facts.flow == "sure"):
            a, b = (_flat(value) for value in twice)
            if not torch.equal(a.nan_to_num(), b.nan_to_num()):
                faults.append(f"{name} differs between two calls by {(a - b).abs().max():.2g}")
    # and no tensor moved, drawing included
    if s.offers("sample") and s.rows("sample", 2) == 2:
        s.sample(2)
    after = s.model.state_dict()
    moved = [k for k in before if not torch.equal(before[k].nan_to_num(), after[k].nan_to_num())]
    faults += [f"{k} changed" for k in moved]
    note = "; ".join(faults) or f"{', '.join(names)} twice; {len(before)} tensors unchanged"
    return Finding(len(faults), 0, note)


def samples_well_formed(s: Subject) -> Finding | LeftOut:
    """`sample(n)` gives n examples as stored, finite, in range, without gradient."""
    if why := s.lacks("sample"):
        return why
    # what can be afforded
    n_largest = s.rows("sample", 5)
    if why := s.too_few(n_largest, 1, "drawing"):
        return why
    # what is drawn
    faults = []
    for n in (1, 5) if n_largest == 5 else (1,):
        x = s.model.sample(n) if s.y is None else s.sample(n)
        if not isinstance(x, Tensor):
            return Finding(1, 0, f"sample({n}) gives a {type(x).__name__}, not a tensor")
        faults += _faults_of_samples(s, x, n)
    kind = f"{x.dtype}"
    if s.discrete and x.is_floating_point():
        kind = "whole numbers held as floats"
    note = "; ".join(dict.fromkeys(faults)) or f"(n, {', '.join(map(str, s.shape))}), {kind}"
    return Finding(len(faults), 0, note)


def _faults_of_samples(s: Subject, x: Tensor, n: int) -> list[str]:
    """What is wrong with `sample(n)`."""
    faults = []
    if tuple(x.shape) != (n, *s.shape):
        faults.append(f"sample({n}) has shape {tuple(x.shape)}, not {(n, *s.shape)}")
    if x.requires_grad:
        faults.append("samples carry a gradient: draw under torch.no_grad()")
    if not x.isfinite().all():
        faults.append("samples are not finite")
    elif s.discrete and not (x == x.floor()).all():
        faults.append("samples are no whole numbers, the data are")
    elif s.discrete and s.facts.levels_known and not 0 <= int(x.min()) <= int(x.max()) < s.levels:
        faults.append(f"samples leave 0..{s.levels - 1}")
    elif not s.discrete and not x.is_floating_point():
        faults.append(f"samples are {x.dtype}, the data {s.x.dtype}")
    return faults
