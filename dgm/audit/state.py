"""Checks of the state: gradients, registered tensors, `state_dict`, single precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, ModuleType

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from dgm.audit.facts import examine
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject, seeded, working_in

_VALUES = ("log_prob", "energy", "elbo", "loss")


def gradients(s: Subject) -> Finding | LeftOut:
    """Every parameter gets a finite gradient that is not zero."""
    model = copy.deepcopy(s.model).train()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if not trained:
        return LeftOut("the model has no parameter to train")
    # the gradient of what it trains on
    name = next((n for n in ("loss", "log_prob", "elbo", "energy") if s.offers(n)), None)
    if name is None:
        return LeftOut("the model has none of loss, log_prob, elbo, energy")
    n = max(1, min(len(s.x), s.rows(name, len(s.x))))
    value = replace(s, model=model).call(name, s.x[:n])
    if not value.requires_grad:
        return Finding(len(trained), 0, f"{name}: none")
    value.mean().backward()
    # parameter by parameter
    faults = [
        f"{n} {_gradient_fault(p.grad)}" for n, p in trained.items() if _gradient_fault(p.grad)
    ]
    n_frozen = sum(1 for _ in model.parameters()) - len(trained)
    note = "; ".join(faults) or f"{len(trained)} by {name}, {n_frozen} frozen"
    return Finding(len(faults), 0, note)


def _gradient_fault(gradient: Tensor | None) -> str:
    if gradient is None:
        return "gets none"
    if not gradient.isfinite().all():
        return "is not finite"
    return "" if gradient.abs().max() > 0 else "is zero"


def registered(s: Subject) -> Finding:
    """Every tensor a module holds is a parameter or a buffer, every module a submodule."""
    known = {id(t) for t in (*s.model.parameters(), *s.model.buffers())}
    known |= {id(m) for m in s.model.modules()}
    loose = []
    for path, module in s.model.named_modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                start = f"{path}.{name}" if path else name
                loose += _loose(start, value, known, set())
    found = ", ".join(dict.fromkeys(loose))
    note = f"plain: {found}; lost by state_dict() and .to()" if loose else f"{len(known)} objects"
    return Finding(len(set(loose)), 0, note)


def _loose(path: str, value: object, known: set[int], seen: set[int]) -> Iterator[str]:
    """Paths of tensors and modules inside plain containers and objects."""
    if id(value) in known or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor | nn.Module):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _loose(f"{path}[{key!r}]", item, known, seen)
    elif isinstance(value, list | tuple | set):
        for i, item in enumerate(value):
            yield from _loose(f"{path}[{i}]", item, known, seen)
    elif isinstance(value, Distribution):  # D.Normal(0., 1.) holds numbers as tensors: no state
        for name, item in vars(value).items():
            if not isinstance(item, Tensor) or item.dim() > 0:
                yield from _loose(f"{path}.{name}", item, known, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type | FunctionType | ModuleType):
        for name, item in vars(value).items():
            yield from _loose(f"{path}.{name}", item, known, seen)


@torch.no_grad()
def state_dict(s: Subject) -> Finding | LeftOut:
    """Loading the state into a model with other weights gives the same numbers."""
    names = [n for n in _VALUES if s.offers(n)]
    if not names or not s.model.state_dict():
        return LeftOut("nothing to load, or no value to compare")
    other = copy.deepcopy(s.model)
    for tensor in other.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(1.0)
    other.load_state_dict(s.model.state_dict())
    with seeded(s.seed):
        a = s.call(names[0], s.x)
    with seeded(s.seed):
        b = replace(s, model=other).call(names[0], s.x)
    return Finding((a - b).abs().max().item(), 0, f"{names[0]} after loading, absolute")


@torch.no_grad()
def single_precision(s: Subject) -> Finding | LeftOut:
    """float32 gives what float64 gives, and answers in float32."""
    name = next((n for n in ("log_prob", "energy", "elbo") if s.offers(n)), None)
    if name is None:
        return LeftOut("the model has none of log_prob, energy, elbo")
    if s.dtype != torch.float64:
        return LeftOut("audited in float32: the model casts inside, or takes too long in double")
    repeats = min(128, s.rows(name, 128 * len(s.x)) // len(s.x)) if name == "elbo" else 1
    if why := s.too_few(repeats, 16 if name == "elbo" else 1, f"drawing the {name}"):
        return why
    # both precisions
    exact = s.mean_and_error(name, s.x, repeats=repeats) if name == "elbo" else s.call(name, s.x)
    x, y = (t.float() if t is not None and t.is_floating_point() else t for t in (s.x, s.y))
    with working_in(torch.float32):
        low = examine(copy.deepcopy(s.model).float(), x, y, s.levels, seed=s.seed)
        if name in low.facts.faults:
            return Finding(float("inf"), 1e-3, f"{name} in float32: {low.facts.faults[name]}")
        if (kind := low.call(name, x).dtype) != torch.float32:
            return Finding(float("inf"), 1e-3, f"{name} of a float32 model is {kind}")
        rough = (
            low.mean_and_error(name, x, repeats=repeats) if name == "elbo" else low.call(name, x)
        )
    # the values, or their means where they are noisy
    if name != "elbo":
        gap = ((rough - exact).abs() / (1 + exact.abs())).max().item()
        return Finding(gap, 1e-3, f"{name}, relative")
    a, b = exact, rough.double()
    excess = (a[0] - b[0]).abs() - 6 * a[1].hypot(b[1])
    note = "elbo in mean, relative, beyond six standard errors"
    return Finding((excess / (1 + a[0].abs())).clamp(min=0).max().item(), 1e-3, note)
