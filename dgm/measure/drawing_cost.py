"""What a model claims and what a draw of it costs: evaluations, seconds, growth with the size.

The questions of the summary in Goodfellow (2016), arXiv:1701.00160, section 2, asked of a model
object and of its modules while they run. Needs torch only.
"""

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

LEAST_SHARE = 0.01  # of the weights that run: what a module holds whose runs count


def likelihood_of(model: nn.Module) -> str:
    """What a model offers of log p(x), by its methods, the strongest first.

    "exact"; "bound"; "bound, exact for reals" where integers are wrapped around a density that is
    exact; "up to a constant"; "none" where it only draws.

    Raises
    ------
    ValueError : it offers neither a probability nor draws.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> net.energy = net.forward
    >>> likelihood_of(net)
    'up to a constant'
    """
    inner = getattr(model, "model", model)  # what an estimator of a bound stands around
    dense = hasattr(getattr(inner, "flow", None), "log_prob")
    words = {
        "log_prob": "exact",
        "elbo": "bound, exact for reals" if dense else "bound",
        "energy": "up to a constant",
        "sample": "none",
    }
    for method, word in words.items():
        if hasattr(model, method):
            return word
    raise ValueError(f"model: {type(model).__name__} has none of the methods {', '.join(words)}")


def evaluations(model: nn.Module, draw: Callable[[], object]) -> int:
    """How often the network of ``model`` runs, one run after the other, while ``draw()`` runs.

    Modules that hold weights of their own are counted by hooks. The count is the largest of those
    that hold at least a hundredth of the weights that run, so that neither a schedule nor an
    embedding of a few numbers decides. 0 where no module runs.

    Examples
    --------
    >>> net = nn.Linear(3, 3)
    >>> evaluations(net, lambda: [net(torch.zeros(1, 3)) for _ in range(5)])
    5
    """
    counts: dict[nn.Module, int] = {}

    def seen(module: nn.Module, *_: object) -> None:
        counts[module] = counts.get(module, 0) + 1

    own = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    hooks = [module.register_forward_hook(seen) for module in own]
    try:
        with torch.no_grad():
            draw()
    finally:
        for hook in hooks:
            hook.remove()
    # the largest count of those that hold enough
    sizes = {m: sum(p.numel() for p in m.parameters(recurse=False)) for m in counts}
    enough = LEAST_SHARE * sum(sizes.values())
    return max((n for module, n in counts.items() if sizes[module] >= enough), default=0)


def processor_seconds(draw: Callable[[], object], repeats: int = 1) -> float:
    """Least seconds of the processor that ``draw()`` took, of some repeats; no gradient is kept.

    Seconds of this process, all threads together: a crowded machine does not lengthen them.

    Raises
    ------
    ValueError : ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    taken = []
    with torch.no_grad():
        for _ in range(repeats):
            start = time.process_time()
            draw()
            taken.append(time.process_time() - start)
    return min(taken)


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent a of costs ~ sizes^a: the slope of log cost against log size, least squares.

    Raises
    ------
    ValueError : unequal lengths, fewer than two different sizes, or a number that is not positive.

    Examples
    --------
    >>> round(growth([64, 256, 1024], [3, 12, 48]), 6)
    1.0
    """
    if len(sizes) != len(costs) or len(set(sizes)) < 2:
        raise ValueError(f"sizes and costs: need two sizes and equal lengths, got {sizes}, {costs}")
    if not all(number > 0 for number in (*sizes, *costs)):
        raise ValueError(f"sizes and costs must be positive, got {sizes}, {costs}")
    u, v = ([math.log(number) for number in of] for of in (sizes, costs))
    mid_u, mid_v = sum(u) / len(u), sum(v) / len(v)
    rise = sum((a - mid_u) * (b - mid_v) for a, b in zip(u, v, strict=True))
    return rise / sum((a - mid_u) ** 2 for a in u)


def class_score(logits: Tensor) -> float:
    """exp of the mean divergence of p(y|x) from its mean over draws: 1 at worst, classes at best.

    The inception score of Salimans et al. (2016), arXiv:1606.03498, section 4, with a classifier
    of one's own: logits (N, K) of the draws. Scores of different classifiers cannot be compared.

    Raises
    ------
    ValueError : not (N, K) finite logits of at least one draw and two classes.

    Examples
    --------
    >>> round(class_score(1e3 * torch.eye(10)), 4)
    10.0
    """
    if logits.ndim != 2 or len(logits) < 1 or logits.shape[1] < 2:
        raise ValueError(f"logits must be (N, K), N >= 1, K >= 2, got {tuple(logits.shape)}")
    if not logits.isfinite().all():
        raise ValueError("logits holds NaN or infinite values")
    log_p = logits.double().log_softmax(1)
    middle = log_p.logsumexp(0) - math.log(len(log_p))  # log of the mean law
    return (log_p.exp() * (log_p - middle)).sum(1).mean().exp().item()
