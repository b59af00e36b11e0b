"""Chapter 26: what is taken from log p, and what a score is then about."""

from dgm.plot.schematic import Diagram, Schematic, panels


def beside_the_likelihood() -> Schematic:
    """One picture, one log p, and four things it is compared with."""
    d = Diagram(
        "What log p is compared with",
        "A picture goes to a model, which gives log p. Four remedies compare it: with the usual "
        "log p of training data, with a background model, with a general code for pictures, with "
        "other trainings of the model.",
    )
    # the picture and its likelihood
    x = d.node("data", "$x$", 156, 28, 70)
    model = d.node("network", "model", 156, 90, 70)
    p = d.node("probability", "$\\log p(x)$", 156, 175, 74)
    d.arrow(x, model)
    d.arrow(model, p)
    # what it is held against
    places = ((54, 115), (258, 115), (54, 235), (258, 235))
    words = ("usual value:\ntypicality", "background:\nratio",
             "plain code:\ncomplexity", "more of its\nkind: WAIC")  # fmt: skip
    for (across, down), word in zip(places, words, strict=True):
        d.arrow(p, d.node("step", word, across, down, 100))
    return panels(d)
