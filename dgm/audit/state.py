"""Checks of the state: gradients, registered tensors, `state_dict`, single precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import FunctionType, ModuleType

import torch
from torch import Tensor, nn

from dgm.audit.report import Finding
from dgm.audit.subject import DoesNotApply, Subject, seeded

_VALUES = ("log_prob", "energy", "elbo", "loss")


def gradients(s: Subject) -> Finding:
    """Every parameter gets a finite gradient that is not zero."""
    model = copy.deepcopy(s.model).train()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise DoesNotApply("the model has no parameter to train")
    name = next((n for n in ("loss", "log_prob", "elbo", "energy") if s.offers(n)), None)
    if name is None:
        raise DoesNotApply("the model has none of loss, log_prob, elbo, energy")
    value = Subject(model, s.x, s.y, s.levels).call(name, s.x)
    if not value.requires_grad:
        return Finding(len(trained), 0, f"{name}: none")
    value.mean().backward()
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
    elif hasattr(value, "__dict__") and not isinstance(value, type | FunctionType | ModuleType):
        for name, item in vars(value).items():
            yield from _loose(f"{path}.{name}", item, known, seen)


@torch.no_grad()
def state_dict(s: Subject) -> Finding:
    """Loading the state into a model with other weights gives the same numbers."""
    names = [n for n in _VALUES if s.offers(n)]
    if not names or not s.model.state_dict():
        raise DoesNotApply("nothing to load, or no value to compare")
    other = copy.deepcopy(s.model)
    for tensor in other.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(1.0)
    other.load_state_dict(s.model.state_dict())
    gap = _gap(s, other, names[0], s.x)
    return Finding(gap, 0, f"{names[0]} after loading, absolute")


def _gap(s: Subject, other: nn.Module, name: str, x: Tensor) -> float:
    """Largest absolute difference of two models under the same noise."""
    with seeded(s.seed):
        a = s.call(name, s.x)
    with seeded(s.seed):
        b = Subject(other, x, s.y, s.levels).call(name, x)
    return (a - b).abs().max().item()


@torch.no_grad()
def single_precision(s: Subject) -> Finding:
    """float32 gives what float64 gives, and answers in float32."""
    name = next((n for n in ("log_prob", "energy", "elbo") if s.offers(n)), None)
    if name is None:
        raise DoesNotApply("the model has none of log_prob, energy, elbo")
    other = copy.deepcopy(s.model).float()
    x, y = (t.float() if t is not None and t.is_floating_point() else t for t in (s.x, s.y))
    low = Subject(other, x, y, s.levels)
    if (kind := low.call(name, x).dtype) != torch.float32:
        return Finding(float("inf"), 1e-3, f"{name} of a float32 model is {kind}")
    if name != "elbo":
        exact = s.call(name, s.x)
        gap = ((low.call(name, x) - exact).abs() / (1 + exact.abs())).max().item()
        return Finding(gap, 1e-3, f"{name}, relative")
    a, b = (t.mean_and_error(name, t.x, repeats=128).double() for t in (s, low))
    excess = (a[0] - b[0]).abs() - 6 * a[1].hypot(b[1])
    note = "elbo in mean, relative, beyond six standard errors"
    return Finding((excess / (1 + a[0].abs())).clamp(min=0).max().item(), 1e-3, note)
