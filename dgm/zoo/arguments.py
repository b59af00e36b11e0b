"""One door for the sizes that builders take: a wrong one is named before anything is built."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from dgm.distribution.support import Levels, Reals


def checked(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return ``build`` behind a look at its arguments.

    ``data`` must be `Levels` or `Reals`; where the default of a size is a whole number, a number, a
    truth value or a sequence of whole numbers, so must be what is given, finite and not negative.
    What else a size must be, the networks say.

    Raises
    ------
    ValueError
        It names the argument, what came and what is allowed; also for an unknown argument.
    """
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(build).parameters.items()
    }

    @functools.wraps(build)
    def checked_build(data: Levels | Reals, **sizes: Any) -> nn.Module:
        if not isinstance(data, Levels | Reals):
            raise ValueError(
                f"data must be Levels or Reals, such as dgm.data.load(name).kind; got {data!r:.60}"
            )
        for name, value in sizes.items():
            if name not in defaults:
                known = ", ".join(list(defaults)[1:])
                raise ValueError(f"{build.__name__} has no argument {name}; it has {known}")
            _require_like(name, value, defaults[name])
        return build(data, **sizes)

    return checked_build


def _require_like(name: str, value: Any, default: Any) -> None:
    """Raise a ValueError unless ``value`` is of the kind of ``default`` and in range."""
    if isinstance(default, bool):
        good, need = isinstance(value, bool), "True or False"
    elif isinstance(default, int):
        good, need = _is_count(value), "a whole number, not negative"
    elif isinstance(default, float):
        good = isinstance(value, int | float) and 0 <= value < math.inf
        need = "a number, finite and not negative"
    elif isinstance(default, tuple) and all(map(_is_count, default)):
        good = isinstance(value, Sequence) and not isinstance(value, str)
        good, need = good and all(map(_is_count, value)), "whole numbers, none negative"
    else:
        return
    if not good:
        raise ValueError(f"{name} must be {need}, got {value!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
