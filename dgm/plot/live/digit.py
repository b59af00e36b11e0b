"""Draw a picture and read its nats under several trained models, computed in the page itself.

Every model is recorded as the operations of its own ``log_prob`` and evaluated there on the
reader's pixels, with numbers rounded to as few bits as leave its nats alone.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from dgm.plot.live.frame import FOLDER, live
from dgm.plot.live.pack import fewest_bits, packed_program
from dgm.plot.live.record import record

SCRIBBLE = (  # a zigzag that is no digit, 0..9
    "90000009", "49000094", "04900940", "00499400", "00499400", "04900940", "49000094", "90000009",
)  # fmt: skip


def scribble(levels: int) -> Tensor:
    """A cross over the whole picture, (1, 8, 8) levels: no digit."""
    rows = torch.tensor([[int(c) for c in row] for row in SCRIBBLE])
    return (rows * (levels - 1) / 9).round().to(torch.uint8)[None]


def page_nats(model: nn.Module, draws: int) -> tuple[Callable[[Tensor], Tensor], bool]:
    """What the page computes of x (1, 1, H, W), and whether it is a bound.

    The terms (H W,) of an autoregressive model in the order of the pixels; log p(x), (1,); or the
    bound with ``draws`` draws, the same noise every time.
    """
    if hasattr(model, "place_terms"):
        return lambda x: model.place_terms(x).flatten(), False
    if hasattr(model, "log_prob"):
        return model.log_prob, False
    return lambda x: model.iw_bound(x, draws), True


def draw_a_digit(
    models: Mapping[str, nn.Module], examples: Tensor, names: Sequence[str] = (),
    reference: Tensor | None = None, cost_of: str = "", draws: int = 16, tolerance: float = 0.04,
    title: str = "Draw a digit, read its nats", limit: int = 650_000,
):  # fmt: skip
    """An 8 by 8 canvas, and the nats of what is on it under each model.

    Parameters
    ----------
    models : name -> model of ``Levels((1, 8, 8), levels)``, in eval mode; quick ones first.
    examples : (n, 1, 8, 8) pictures as stored, shown in turn; a scribble is added to them.
    names : what to call them ("test digit" when left out).
    reference : (N, 1, 8, 8) test pictures whose mean nats are marked; ``examples`` if None.
    cost_of : the autoregressive model whose nats of each pixel are shown; the first one if empty.
    draws : of a bound. tolerance : nats by which rounding may move an example.
    limit : bytes of the HTML.

    Raises
    ------
    ValueError : no model with terms of its own for each pixel, wrong names, or too large a page.
    """
    data = next(iter(models.values())).data
    shown = [*zip(names or ["A test digit"] * len(examples), examples, strict=True)]
    shown.append(("A scribble", scribble(data.levels)))
    listed = [m for m, model in models.items() if hasattr(model, "place_terms")]
    if (cost_of or not listed) and cost_of not in listed:
        raise ValueError(f"cost_of must be one of {listed}, a model of each pixel; got {cost_of!r}")
    reference = examples if reference is None else reference
    # what the page reads
    specs = [
        _spec(name, model, torch.stack([x for _, x in shown]), reference, draws, tolerance)
        for name, model in models.items()
    ]
    fields = {
        "shape": data.shape[1:], "levels": data.levels, "models": specs,
        "map": list(models).index(cost_of or listed[0]),
        "examples": [{"name": n, "pixels": x.flatten().tolist()} for n, x in shown],
    }  # fmt: skip
    alt = "A picture drawn by hand, and what it costs under each model, computed in the page"
    page = live("digit", fields, title, alt, TENSOR=(FOLDER / "tensor.js").read_text("utf-8"))
    if len(page.data) > limit:
        raise ValueError(f"models: {len(page.data) // 1000} kB of HTML, over {limit // 1000} kB")
    return page


@torch.no_grad()
def _spec(
    name: str, model: nn.Module, examples: Tensor, reference: Tensor, draws: int, tolerance: float
) -> dict:
    """One model as the page reads it, with mean and spread of its nats on the reference."""
    function, bound = page_nats(model, draws)
    program = record(function, examples[:1])
    nats = -(model.iw_bound(reference, draws) if bound else model.log_prob(reference))
    return {
        "name": name, "bound": bound, "mean": nats.mean().item(), "spread": nats.std().item(),
        "program": packed_program(program, fewest_bits(program, examples, tolerance)),
    }  # fmt: skip
