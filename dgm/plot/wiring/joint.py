"""Chapter 1: a classifier, a joint model on one trunk, and a classifier made of densities."""

from dgm.plot.schematic import Diagram, Schematic, panels


def two_heads() -> Schematic:
    """A classifier beside a joint model: the same trunk, one head more, and the sum of two terms.

    What `SharedTrunk` of dgm/joint is.
    """
    return panels(_classifier(), _joint())


def _classifier() -> Diagram:
    d = Diagram(
        "A classifier",
        "The image x leads through a trunk and a class head to p(y given x). Nothing says how "
        "likely x is.",
        heading=True,
    )
    parts = [
        ("data", "$x$", 50),
        ("network", "trunk", 110, 90),
        ("network", "class head", 170, 120),
        ("probability", "$p(y | x)$", 230, 100),
    ]
    d.column(80, parts)
    return d


def _joint() -> Diagram:
    d = Diagram(
        "A joint model",
        "The same trunk feeds two heads: a class head that gives p(y given x), and a pixel head "
        "that gives p(x). Their logarithms add up to log p(x, y).",
        heading=True,
    )
    # one trunk, two heads, two laws, one sum
    x, trunk = d.node("data", "$x$", 150, 50), d.node("network", "trunk", 150, 110, 90)
    heads = [d.node("network", f"{name} head", 80 + 140 * k, 170, 120)
             for k, name in enumerate(("class", "pixel"))]  # fmt: skip
    laws = [d.node("probability", law, 80 + 140 * k, 230, 100)
            for k, law in enumerate(("$p(y | x)$", "$p(x)$"))]  # fmt: skip
    total = d.node("probability", "log $p(x, y)$", 150, 300, 130)
    d.arrow(x, trunk)
    for head, law in zip(heads, laws, strict=True):
        d.arrow(trunk, head)
        d.arrow(head, law)
        d.arrow(law, total)
    d.note("log + log", 150, 262)
    return d


def bayes_classifier(n_classes: int = 3) -> Schematic:
    """One density for each class, weighed by how often it occurs; Bayes' rule gives p(y | x).

    What `GenerativeClassifier` of dgm/joint is, with ``n_classes`` classes (2 or 3).
    """
    if n_classes not in (2, 3):
        raise ValueError(f"n_classes: got {n_classes}; two or three are drawn")
    d = Diagram(
        "A classifier made of densities",
        f"x goes to {n_classes} densities p(x given y), one a class. Each times p(y) is the joint; "
        "its sum over y is p(x), its share of that sum is p(y given x).",
    )
    # a density for each class
    places = [155 + 100 * (k - (n_classes - 1) / 2) for k in range(n_classes)]
    x = d.node("data", "$x$", 155, 20)
    joint = d.node("step", "times $p(y)$", 155, 150, 100 * n_classes - 16)
    for k, place in enumerate(places):
        density = d.node("probability", f"$p(x | {k + 1})$", place, 85, 84)
        d.arrow(x, density)
        d.arrow(density, (place, 134.5))
    whole = d.node("probability", "$p(x)$", 95, 230, 80)
    which = d.node("probability", "$p(y | x)$", 215, 230, 90)
    d.arrow(joint, whole, "sum over $y$", beside=-7)
    d.arrow(joint, which, "divide by it")
    return panels(d)
