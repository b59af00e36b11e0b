"""A diagnosis by check boxes: every cause of a noisy-OR network, summed out exactly."""

from collections.abc import Sequence

from torch import nn

from dgm.plot.live.frame import live

MOST_CAUSES = 12


def noisy_or_diagnosis(
    model: nn.Module, causes: Sequence[str], findings: Sequence[str], start: Sequence[str] = (),
    title: str = "A diagnosis, finding by finding",
):  # fmt: skip
    """Check what was found and read how probable each cause is now, exact, computed in the page.

    Parameters
    ----------
    model : a `NoisyOr` network: ``prior_logit`` (d,), ``weight`` (D, d), ``leak`` (D,).
    causes, findings : the names of its d causes and D findings.
    start : findings checked at first.

    Raises
    ------
    ValueError : names that do not fit the model, or too many causes to enumerate.
    """
    n_findings, n_causes = model.weight.shape
    for name, said, n in (("causes", causes, n_causes), ("findings", findings, n_findings)):
        if len(said) != n or len(set(said)) != n:
            raise ValueError(f"{name} must be {n} different names, got {list(said)}")
    if n_causes > MOST_CAUSES:
        raise ValueError(f"causes: {n_causes} are more than a page enumerates ({MOST_CAUSES})")
    if not set(start) <= set(findings):
        raise ValueError(f"start must be among the findings, got {list(start)}")
    # what the page reads
    rounded = lambda t: [round(v, 7) for v in t.tolist()]  # noqa: E731
    data = {
        "causes": list(causes), "findings": list(findings), "start": list(start),
        "prior": rounded(model.prior_logit.detach().sigmoid()),
        "weight": [rounded(row) for row in model.weight.detach()],
        "leak": rounded(model.leak.detach()),
    }  # fmt: skip
    alt = "Check boxes of findings, and how probable each cause is given them"
    return live("diagnosis", data, title, alt)
