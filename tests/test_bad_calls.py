"""A thousand bad calls: each ends in an error that names the argument, none in silent nonsense."""

import inspect
import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from dgm import zoo
from dgm.distribution.support import Levels

OF_DATA = (
    "log_prob", "elbo", "loss", "forward", "terms", "place_terms", "joint_log_prob", "posterior",
    "encode", "start_from", "fit_to",
)  # fmt: skip
NAMES = list(zoo.modules())


def bad_data(x, kind):
    """What is no batch of the data, by what is wrong with it."""
    yield from (("None", None), ("a number", 1.5), ("text", "3"), ("a list", x.tolist()))
    yield from (("NumPy", x.numpy()), ("an empty batch", x[:0]), ("one example", x[0]))
    yield "a wide shape", torch.cat((x, x), -1)
    if isinstance(kind, Levels):
        yield from (("halves", x + 0.5), ("booleans", x > 0), ("negative", -1 - x.long()))
        yield "too large", torch.full_like(x.long(), kind.levels)
    else:
        yield from (("NaN", x * math.nan), ("infinite", x / 0), ("integers", x.long()))


def calls(name):
    """(what, argument, the call) for one system: methods, drawing, and its builder."""
    entry = zoo.get(name)
    model, x, *_ = entry.small()
    for method in OF_DATA:
        if callable(getattr(model, method, None)) and not means_nothing(model, method):
            for what, bad in bad_data(x, model.data):
                yield f"{method}({what})", "x", lambda m=method, b=bad: getattr(model, m)(b)
    if hasattr(model, "iw_bound"):
        for k in (0, -3, 2.5, "3", None, math.nan):
            yield f"iw_bound(k={k!r})", "k", lambda k=k: model.iw_bound(x, k)
    if hasattr(model, "sample"):
        for n in (-1, 2.5, "3", None, math.nan, True):
            yield f"sample({n!r})", "n", lambda n=n: model.sample(n)
        if "temperature" in inspect.signature(model.sample).parameters:
            for t in (0.0, -1.0, math.nan, math.inf):
                yield f"temperature={t}", "temperature", lambda t=t: model.sample(2, temperature=t)
    data, sizes = entry.tiny.data, entry.tiny.sizes
    for size, parameter in list(inspect.signature(entry.build).parameters.items())[1:]:
        good = sizes.get(size, parameter.default)
        if isinstance(good, int | float) and not isinstance(good, bool):
            for bad in (-1, math.nan, "3"):
                yield (
                    f"{name}({size}={bad!r})",
                    size,
                    lambda s=size, b=bad: entry.build(data, **sizes | {s: b}),
                )
    for bad in (None, (1, 8, 8), 17):
        yield f"{name}(data={bad!r})", "data", lambda b=bad: entry.build(b, **sizes)


def means_nothing(model, method):
    """No forward of its own, a joint law with labels of a model that has none, no start to make."""
    if method == "joint_log_prob":
        return getattr(model, "condition", "none needed") is None
    if method == "start_from" and hasattr(model, "decoder"):
        return not hasattr(model.decoder, "start_from")
    return method == "forward" and type(model).forward is torch.nn.Module.forward


def verdict(argument, call):
    """'named', 'raw' for an error that does not name the argument, 'silent' for none at all."""
    try:
        result = call()
    except (ValueError, TypeError) as error:
        return "named" if re.search(rf"\b{argument}\b", str(error)) else f"raw {error!r:.120}"
    except Exception as error:
        return f"raw {error!r:.120}"
    return f"silent {type(result).__name__}" if not isinstance(result, Tensor) else "silent"


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_call_is_answered_with_the_name_of_the_argument(name):
    found = {what: verdict(argument, call) for what, argument, call in calls(name)}
    silent = {what for what, how in found.items() if how.startswith("silent")}
    raw = {what: how for what, how in found.items() if how.startswith("raw")}
    assert not silent, f"{name}: accepted {sorted(silent)}"
    assert len(raw) <= 0.05 * len(found), f"{name}: {len(raw)} of {len(found)}: {raw}"


def test_bad_calls_are_found_out_by_this_test():
    assert verdict("x", lambda: np.zeros(3)) == "silent ndarray"
    assert verdict("x", lambda: torch.zeros(3)) == "silent"
    assert verdict("x", lambda: torch.zeros(3).view(2)).startswith("raw")
    with pytest.raises(ValueError, match=r"n must be"):
        Levels((2,), 3).count(-1)
    assert verdict("n", lambda: Levels((2,), 3).count(-1)) == "named"
