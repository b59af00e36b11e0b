"""What a model is, found out once: its methods, its data, and which kind of model it is.

Everything is read off what the methods answer on two rows. A method is asked with the batch as
given, then as integers, then as floats, and counts as the model's own where one of these works.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dgm.audit.chain import Chain, find_chain
from dgm.audit.parts import has_parts
from dgm.audit.subject import Subject, seeded

VALUES = ("log_prob", "elbo", "iw_bound", "energy", "loss")  # (B,) each
ASKED = (*VALUES, "forward", "terms")


@dataclass(frozen=True)
class Facts:
    """What was found out about a model; checks read this and look for nothing themselves."""

    discrete: bool
    levels: int | None = None  # None for reals
    levels_known: bool = True  # said by the caller or the model, not guessed from the batch
    methods: frozenset[str] = frozenset()  # that can be called and answer as their names say
    faults: dict[str, str] = field(default_factory=dict)  # method -> what is amiss
    feeds: dict[str, torch.dtype] = field(default_factory=dict)  # method -> dtype it takes x in
    flow: str = ""  # "sure": forward gives (z, log_det); "maybe": it gives (like x, (B,))
    chain: Chain | None = None  # forward gives the laws of all variables, each given those before
    parts: bool = False  # posterior(x), likelihood(z) and prior can be asked
    own_precision: bool = False  # it computes in float32 whatever it is converted to

    @property
    def claims(self) -> tuple[str, ...]:
        """What the methods promise, in the words of `report.DECIDES`."""
        found = {
            "density": "log_prob" in self.methods,
            "bound": bool(self.methods & {"elbo", "iw_bound"}),
            "samples": "sample" in self.methods,
            "log-determinant": self.flow == "sure",
            "causality": self.chain is not None and self.chain.sure,
        }
        return tuple(name for name, claimed in found.items() if claimed)


def find_facts(s: Subject, levels: int | None = None, floats: bool = False) -> Facts:
    """Ask the model, and say what it is.

    `s.x` holds integers where the data are whole numbers, even if they came as `floats`.
    """
    # what the batch and the model say
    discrete = not s.x.is_floating_point()
    known = _stated_levels(s.model) if levels is None else levels
    guess = max(2, int(s.x.max()) + 1) if discrete else None
    # what can be called, and with what
    s.facts = Facts(discrete, known or guess if discrete else None, bool(known))
    with torch.no_grad(), seeded(s.seed):
        methods, faults, feeds, answers = _ask(s, floats)
    s.facts = Facts(discrete, s.levels, bool(known), frozenset(methods), faults, feeds)
    with torch.no_grad(), seeded(s.seed):
        flow = "" if discrete else _flow(s, answers.get("forward"))
        chain = None if flow == "sure" else find_chain(s, answers.get("forward"))
        parts = has_parts(s)
    # what follows
    levels, sure = s.levels, bool(known)
    if chain is not None and chain.are_logits and not known:
        levels, sure = chain.n_values, True
    if flow == "sure" and _can_call(s, "inverse", 1):
        methods.add("inverse")
    return Facts(discrete, levels, sure, frozenset(methods), faults, feeds, flow, chain, parts)


def examine(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    levels: int | None = None,
    floats: bool = False,
    **options: object,
) -> Subject:
    """A subject whose facts are found."""
    subject = Subject(model, x, y, **options)
    subject.facts = find_facts(subject, levels, floats)
    return subject


def whole_numbers(x: Tensor) -> bool:
    """Whether a batch holds small whole numbers only, in whatever dtype: levels, not reals."""
    return not x.is_floating_point() or bool(((x == x.floor()) & (x >= 0) & (x < 4096)).all())


def _stated_levels(model: nn.Module) -> int | None:
    """The model's own word: `model.data.levels` or `model.levels`."""
    for holder in (getattr(model, "data", None), model):
        levels = getattr(holder, "levels", None)
        if isinstance(levels, int) and not isinstance(levels, bool) and levels >= 2:
            return levels
    return None


def _can_call(s: Subject, name: str, n: int) -> bool:
    """Whether the method exists and can be called with n arguments (and y, where there is one)."""
    method = getattr(s.model, name, None)
    if not callable(method):
        return False
    if name == "forward" and type(s.model).forward is nn.Module.forward:
        return False
    try:
        signature = inspect.signature(method)
    except ValueError:  # not written in Python
        return True
    labelled = {"y": None} if s.y is not None and "y" in signature.parameters else {}
    try:
        signature.bind(*[None] * n, **labelled)
    except TypeError:
        return False
    return True


def _ask(
    s: Subject, floats: bool
) -> tuple[set[str], dict[str, str], dict[str, torch.dtype], dict[str, object]]:
    """Which methods answer, what is amiss with the others, what they are fed, what they said."""
    methods, faults, feeds, answers = set(), {}, s.facts.feeds, {}
    x, kinds = s.x[:2], (s.x.dtype, torch.long, s.dtype) if s.discrete else (s.x.dtype,)
    for name in ASKED:
        args = (3,) if name == "iw_bound" else ()
        if not _can_call(s, name, 1 + len(args)):
            continue
        tried = dict.fromkeys(reversed(kinds) if floats else kinds)
        answer, feeds[name] = _first_answer(s, name, x, args, list(tried))
        fault = _fault_of(name, answer, len(x))
        if fault:
            faults[name] = fault
        else:
            methods.add(name)
            answers[name] = answer
    if _can_call(s, "sample", 1):
        methods.add("sample")
    return methods, faults, feeds, answers


def _first_answer(
    s: Subject, name: str, x: Tensor, args: tuple, kinds: list[torch.dtype]
) -> tuple[object, torch.dtype]:
    """What the method says to x in the first dtype it accepts, or its first complaint."""
    complaint = None
    for kind in kinds:
        s.facts.feeds[name] = kind
        try:
            return s.call(name, x, *args), kind
        except Exception as error:  # what a reader's model may raise is not ours to list
            complaint = complaint or error
    return complaint, kinds[0]


def _fault_of(name: str, answer: object, n: int) -> str:
    """What is wrong with an answer, or nothing: an error, no number for each example."""
    if isinstance(answer, Exception):
        return f"{type(answer).__name__}: {answer}"
    if name not in VALUES:
        return ""
    if not isinstance(answer, Tensor):
        return f"gives a {type(answer).__name__}, not a tensor"
    if name == "loss" and answer.dim() == 0:  # the mean of the batch: usual, and enough to train
        return ""
    return "" if tuple(answer.shape) == (n,) else f"has shape {tuple(answer.shape)}, not ({n},)"


def _flow(s: Subject, answer: object) -> str:
    """Whether forward gives z and log|det dz/dx|."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        return ""
    z, log_det = answer
    if not isinstance(z, Tensor) or not isinstance(log_det, Tensor) or len(z) != len(s.x[:2]):
        return ""
    if log_det.dim() > 1 or (log_det.dim() == 1 and len(log_det) != len(z)):
        return ""
    if _can_call(s, "inverse", 1):
        return "sure"
    if z.numel() != s.x[:2].numel():
        return ""
    others = s.facts.methods & {"elbo", "iw_bound", "loss", "energy"}
    return "sure" if "log_prob" in s.facts.methods or not others else "maybe"
