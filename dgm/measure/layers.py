"""What a layer says: the output of any named module of any model, as rows of numbers.

A hook on a module sees what it returns, so no model needs a method for it. Averaging over places
before a probe: Chen et al. (2020), Generative Pretraining from Pixels, section 2.4. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d


def layer_outputs(
    model: nn.Module, run: Callable[[], Any], names: Sequence[str]
) -> dict[str, Tensor]:
    """What the named modules of ``model`` return during ``run()``, without gradient.

    Of a module that returns several things (a flow's layer: z and a log-determinant) the first.
    The hooks are gone afterwards, also where ``run`` fails. Tensors are copies: a layer that
    works in place changes nothing afterwards.

    Raises
    ------
    ValueError
        A name is none of `model.named_modules()`, or twice there; a module was not called, was
        called more than once, or returned no tensor.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> found = layer_outputs(net, lambda: net(torch.zeros(5, 2)), ["0", "2"])
    >>> [tuple(h.shape) for h in found.values()]
    [(5, 3), (5, 1)]
    """
    modules, found, handles = dict(model.named_modules()), {}, []
    unknown = [name for name in names if name not in modules]
    if unknown or len(set(names)) < len(names) or not names:
        raise ValueError(f"names must be modules of the model, each once; got {unknown or names}")

    # one hook a module, for as long as run takes
    def catch(name: str) -> Callable:
        def hook(module: nn.Module, given: Any, out: Any) -> None:
            out = out[0] if isinstance(out, tuple | list) else out
            if not isinstance(out, Tensor) or name in found:
                what = "is called twice" if name in found else f"returns {type(out).__name__}"
                raise ValueError(f"names: {name} {what}; one tensor can be kept")
            found[name] = out.detach().clone()

        return hook

    try:
        handles += [modules[name].register_forward_hook(catch(name)) for name in names]
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if len(found) < len(names):
        raise ValueError(f"names: {sorted(set(names) - found.keys())} are not called by run")
    return {name: found[name] for name in names}


def as_rows(h: Tensor, most: int = 512) -> Tensor:
    """Features h (B, ...) as rows (B, F): maps and sequences are averaged until F <= ``most``.

    Maps (B, C, H, W) are averaged over squares of places, as few as will do; sequences (B, T, C)
    over stretches of them. C alone may be more than ``most``: then all places become one.

    Examples
    --------
    >>> as_rows(torch.zeros(3, 16, 8, 8), most=256).shape
    torch.Size([3, 256])
    """
    if h.ndim < 2 or most < 1:
        raise ValueError(f"h must be (B, ...) and most at least 1, got {tuple(h.shape)} and {most}")
    if h.ndim == 4 and h[0].numel() > most:
        side = max(1, min(int((most / h.shape[1]) ** 0.5), *h.shape[2:]))
        h = adaptive_avg_pool2d(h, side)
    elif h.ndim == 3 and h[0].numel() > most:
        stretches = max(1, min(most // h.shape[2], h.shape[1]))
        h = adaptive_avg_pool2d(h, (stretches, h.shape[2]))
    return h.flatten(1)


def rows_by_layer(
    model: nn.Module, run: Callable[[Tensor], Any], names: Sequence[str], x: Tensor,
    most: int = 512, at_once: int = 250,
) -> dict[str, Tensor]:  # fmt: skip
    """Rows (N, F) of every named layer while ``run`` sees x (N, ...), a part of x at a time."""
    parts = []
    for part in x.split(at_once):
        seen = layer_outputs(model, lambda part=part: run(part), names)
        parts.append({name: as_rows(h, most) for name, h in seen.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in names}
