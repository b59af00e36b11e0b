"""The classifiers of chapter 25 behind one door: pictures in 0 .. 1 to a number for each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dgm import data, zoo
from dgm.robustness.boundary_attack import boundary_attack
from dgm.robustness.cw_l2 import cw_l2, margins
from dgm.robustness.detector import LikelihoodDetector
from dgm.zoo.studies import plain_cnn

NAMES = {
    "digits": ("CNN", "JEM", "reweighted", "split", "ABS"),
    "mnist": ("CNN", "reweighted", "split", "ABS"),
}


@dataclass(frozen=True)
class Attacked:
    """A classifier as attackers see it; with a ``detector`` where it has a density."""

    name: str
    logits: Callable[[Tensor], Tensor]
    detector: LikelihoodDetector | None = None

    @torch.no_grad()
    def says(self, u: Tensor) -> Tensor:
        """The class of pictures u (B, *shape) in 0 .. 1, (B,)."""
        return self.logits(u).argmax(1)

    @torch.no_grad()
    def alarm(self, u: Tensor) -> Tensor:
        """Where the detector rejects u, (B,) bool; nowhere if there is none."""
        if self.detector is None:
            return torch.zeros(len(u), dtype=torch.bool)
        return self.detector.alarm(self.logits(u))

    def hinge(self, u: Tensor) -> Tensor:
        """Nats below the detector's threshold, (B,), with a slope."""
        return self.detector.hinge(self.logits(u))


def attacked_pictures(name: str, part: str, n: int | None = None) -> tuple[Tensor, Tensor]:
    """Pictures in 0 .. 1 and classes of "digits" or "mnist"; n spread over the part, or all.

    The test part of "mnist" comes with the package; "val" are its training pictures 50,000 on.
    """
    source = data.load("mnist_test" if (name, part) == ("mnist", "test") else name)
    x, y = getattr(source, part), getattr(source, f"{part}_y")
    every = 1 if n is None else len(x) // n
    levels = data.kind(name).levels
    return x[::every][:n].float() / (levels - 1), y[::every][:n].long()


def _logits_of(name: str, classifier: str) -> Callable[[Tensor], Tensor]:
    """What decides, for pictures in 0 .. 1."""
    if classifier == "CNN" and name == "mnist":
        judge = plain_cnn.load()
        return lambda u: judge.head(judge.net(u))
    if classifier in ("CNN", "JEM"):
        model = zoo.load("jem", "digits_plain" if classifier == "CNN" else "digits")
        return lambda u: model.logits(2 * u - 1) if classifier == "JEM" else model.net(2 * u - 1)
    if classifier == "ABS":
        return zoo.load("analysis_by_synthesis", name).picture_logits
    return zoo.load("class_flow", f"{name}_split" if classifier == "split" else name).picture_logits


def attacked_classifier(name: str, classifier: str, threshold: float | None = None) -> Attacked:
    """One of `NAMES`; with a threshold (see `threshold_of`) it also detects."""
    found, detector = _logits_of(name, classifier), None
    if threshold is not None:
        detector = LikelihoodDetector()
        detector.threshold.fill_(threshold)
    return Attacked(classifier, found, detector)


def threshold_of(name: str, classifier: str, rate: float = 0.05, n: int = 1000) -> float:
    """What all but ``rate`` of n validation pictures reach, log p(x, predicted y), nats."""
    u, detector = (
        attacked_pictures(name, "val", n if name == "mnist" else None)[0],
        LikelihoodDetector(rate),
    )
    logits = _logits_of(name, classifier)
    with torch.no_grad():
        detector.fit_to(torch.cat([logits(part) for part in u.split(100)]))
    return detector.threshold.item()


def whole_levels(u: Tensor, levels: int) -> Tensor:
    """Pictures in 0 .. 1 as a file of ``levels`` grey levels holds them."""
    return ((levels - 1) * u).round() / (levels - 1)


def of_files(who: Attacked, levels: int) -> Attacked:
    """The same classifier and detector, asked about pictures as files hold them.

    Its slope is that at the rounded picture, as though rounding were not there.
    """

    def logits(u: Tensor) -> Tensor:
        return who.logits(u + (whole_levels(u, levels) - u).detach())

    return Attacked(who.name, logits, who.detector)


def starts_for(who: Attacked, u: Tensor, y: Tensor, pool: Tensor) -> Tensor:
    """For each u (B, *shape) the nearest picture of the pool that is called otherwise, no alarm."""
    said = torch.cat([who.says(part) for part in pool.split(100)])
    quiet = ~torch.cat([who.alarm(part) for part in pool.split(100)])
    apart = torch.cdist(u.flatten(1), pool.flatten(1))  # (B, N)
    apart[(said == y[:, None]) | ~quiet] = torch.inf
    return pool[apart.argmin(1)]


def distances(u: Tensor, v: Tensor) -> Tensor:
    """Euclidean distance of every pair, (B,): one grey level of a pixel in 0 .. 1."""
    return (v - u).flatten(1).norm(dim=1)


def by_slope(who: Attacked, u: Tensor, y: Tensor, detected: bool = False, **settings) -> Tensor:
    """`cw_l2`; with ``detected`` the alarm must stay silent too. NaN where it found nothing."""
    extra = who.hinge if detected else None
    v, found = cw_l2(who.logits, u, y, extra=extra, **settings)
    return torch.where(found.view(-1, 1, 1, 1), v, torch.full_like(v, torch.nan))


def by_decisions(
    who: Attacked, u: Tensor, y: Tensor, pool: Tensor | None, steps: int, detected: bool = False,
    starts: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`boundary_attack` from ``starts``, or from the nearest of the pool that is called otherwise.

    With ``detected`` it also avoids the alarm.
    """

    def wrong(v: Tensor) -> Tensor:
        lost = margins(who.logits(v), y) < 0
        return lost & ~who.alarm(v) if detected else lost

    if starts is None:
        starts = starts_for(who if detected else Attacked(who.name, who.logits), u, y, pool)
    made = torch.Generator().manual_seed(0)
    return boundary_attack(wrong, u, starts, steps, generator=made)
