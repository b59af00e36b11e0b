"""Chapter 25: two ways to a class, from the picture or through a picture of each class."""

from dgm.plot.schematic import Diagram, Schematic, panels


def two_ways_to_a_class() -> Schematic:
    """A flow that scores one code under every class, and a search for each class's best picture."""
    return panels(_class_flow(), _synthesis())


def _class_flow() -> Diagram:
    d = Diagram(
        "Class-conditional flow",
        "The picture goes through one invertible map to a code z; its density under each class's "
        "Gaussian, and the log-determinant that all classes share, give log p(x|y).",
        heading=True,
    )
    # one map, a Gaussian for each class
    x, flow = d.node("data", "$x$", 130, 50), d.node("network", "flow $f$", 130, 105, 100)
    z = d.node("latent", "code $z$", 130, 160, 90)
    first = d.node("probability", "$N(m_0, I)$", 45, 220, 84)
    last = d.node("probability", "$N(m_9, I)$", 215, 220, 84)
    for a, b in ((x, flow), (flow, z), (z, first), (z, last)):
        d.arrow(a, b)
    return d


def _synthesis() -> Diagram:
    d = Diagram(
        "Analysis by synthesis",
        "For each class a code is searched whose decoded picture is nearest to x; the distance of "
        "the best picture is the score of the class.",
        heading=True,
    )
    # the arrow goes from the code to the picture; the search goes back
    z = d.node("latent", "best code $z_k$", 130, 50, 110)
    paint = d.node("network", "decoder $G_k$", 130, 105, 110)
    painted = d.node("data", "painted", 70, 165, 90)
    x = d.node("data", "$x$", 200, 165)
    apart = d.node("probability", "how far apart?", 130, 225, 120)
    for a, b in ((z, paint), (paint, painted), (painted, apart), (x, apart)):
        d.arrow(a, b)
    return d
