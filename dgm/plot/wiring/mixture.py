"""Chapter 2: a mixture is a hidden cause; a network can make its components."""

from dgm.plot.schematic import Diagram, Schematic, panels


def mixture_cause() -> Schematic:
    """A table of components beside a network that makes them: both sum over a hidden cause z."""
    return panels(_table(), _deep())


def _table() -> Diagram:
    d = Diagram(
        "A mixture",
        "A hidden number z, one of K, picks a row of a table of means and covariances; x is drawn "
        "from the Gaussian of that row. p(x) is the sum over all z.",
        heading=True,
    )
    # from the cause down to the data
    z = d.node("latent", "$z$", 75, 55, 44)
    table = d.grid([["", "", "", ""], ["step"] * 4, ["", "", "", ""]], 75, 130, 20)
    law = d.node("probability", "$N(x; m_z, S_z)$", 75, 210)
    x = d.node("data", "$x$", 75, 270)
    d.note("1, ..., $K$", 105, 55, "start")
    d.note("$m_z, S_z$", 122, 130, "start")
    d.arrow(z, table, "pick a row")
    d.arrow(table, law)
    d.arrow(law, x, "draw")
    d.legend["step"] = "row of a table"
    return d


def _deep() -> Diagram:
    d = Diagram(
        "A deep mixture",
        "A hidden code z, one of K fixed places, leads through a network to mean and variance; x "
        "is drawn from that Gaussian. With K codes p(x) is still an exact sum.",
        heading=True,
    )
    z = d.node("latent", "$z$", 75, 55, 44)
    net = d.node("network", "decoder", 75, 130, 100)
    law = d.node("probability", "$N(x; m(z), s^2(z))$", 75, 210, 146)
    x = d.node("data", "$x$", 75, 270)
    d.note("one of $K$ codes", 105, 55, "start")
    for a, b, label in ((z, net, ""), (net, law, "$m(z), s^2(z)$"), (law, x, "draw")):
        d.arrow(a, b, label)
    return d
