"""The evidence lower bound by hand: mean and width of q over one latent number, all terms exact.

z ~ N(0, 1) and x | z ~ N(z^2, noise^2): for x below zero the posterior has one peak, above two, and
a Gaussian q must choose or straddle (Kingma and Welling, 2014, arXiv:1312.6114, eqs. 1-3).
"""

from dgm.plot.live.frame import live


def elbo_by_hand(
    noise: float = 0.5, start: tuple[float, float, float] = (1.5, 0.3, 1.0),
    title: str = "The bound by hand",
):  # fmt: skip
    """Set mean and width of q and read the ELBO, its two terms, log p(x) and the gap between.

    Parameters
    ----------
    noise : standard deviation of x given z, 0.4 to 2 (nats of the terms stay above 0).
    start : observed x in -1..4, mean of q in -3..3, width of q in 0.05..2.

    Raises
    ------
    ValueError : outside these ranges.
    """
    if not 0.4 <= noise <= 2:
        raise ValueError(f"noise must lie in 0.4..2, got {noise}")
    for name, value, (low, high) in zip(
        ("x", "mean", "width"), start, ((-1, 4), (-3, 3), (0.05, 2)), strict=True
    ):
        if not low <= value <= high:
            raise ValueError(f"start: {name} must lie in {low}..{high}, got {value}")
    alt = "A Gaussian over a posterior, its mean and width to set, and what the bound loses"
    return live("elbo", {"noise": noise, "start": list(start)}, title, alt)
