"""Chapter 21: a flow with two outputs, a class beside a style, three codes of a picture."""

from dgm.plot.schematic import Diagram, Schematic, panels


def two_sides() -> Schematic:
    """A hybrid flow: one invertible map, whose code goes to a density and to a classifier."""
    d = Diagram(
        "A hybrid flow",
        "An invertible map f carries x to z. From z a base density, with the log-determinant of f, "
        "gives log p(x); a linear map gives p(y given x). Their sum is log p(x, y).",
    )
    # one map
    x = d.node("data", "$x$", 40, 90)
    f = d.node("network", "$f$, invertible", 120, 160, 120)
    z = d.node("latent", "$z = f(x)$", 230, 90, 90)
    # two readings of its code
    base = d.node("probability", "log $p_0(z)$ + log|det|\n= log $p(x)$", 84, 250, 160)
    head = d.node("probability", "softmax$(W z + b)$\n= $p(y | x)$", 254, 250, 148)
    total = d.node("step", "λ log $p(x)$ + log $p(y | x)$", 172, 335, 210)
    d.arrow(x, f, via=[(40, 160)])
    d.arrow(f, z, via=[(230, 160)])
    d.arrow(z, head, via=[(300, 90), (300, 210)])
    d.arrow(f, base)
    d.arrow(base, total)
    d.arrow(head, total)
    return panels(d)


def class_and_style() -> Schematic:
    """M2 in two panels: how it draws, how it reads."""
    return panels(_m2_draws(), _m2_reads())


def _m2_draws() -> Diagram:
    d = Diagram(
        "M2 draws",
        "A class y and a style z are drawn independently; a decoder takes both to a picture x.",
        heading=True,
    )
    y = d.node("latent", "$y$ ~ $p(y)$", 70, 60, 90)
    z = d.node("latent", "$z$ ~ $N(0, I)$", 210, 60, 110)
    decoder = d.node("network", "decoder", 140, 140, 100)
    x = d.node("data", "$x$ ~ $p(x | y, z)$", 140, 215, 140)
    for a, b in ((y, decoder), (z, decoder), (decoder, x)):
        d.arrow(a, b)
    return d


def _m2_reads() -> Diagram:
    d = Diagram(
        "M2 reads",
        "From x a classifier gives q(y given x). For every class y the encoder sees x and y and "
        "gives q(z given x, y), and a bound for that class. Without a label all the bounds are "
        "averaged under q(y given x).",
        heading=True,
    )
    # who sees what
    x = d.node("data", "$x$", 160, 50)
    q_y = d.node("network", "classifier\n$q(y | x)$", 75, 125, 110)
    q_z = d.node("network", "encoder, each $y$\n$q(z | x, y)$", 235, 125, 140)
    bound = d.node("probability", "bound of each $y$", 235, 205, 130)
    mean = d.node("step", "mean under $q(y | x)$\n+ its entropy", 130, 285, 170)
    for a, b in ((x, q_y), (x, q_z), (q_z, bound), (q_y, mean), (bound, mean)):
        d.arrow(a, b)
    return d


def three_codes() -> Schematic:
    """DIVA: which prior knows what."""
    d = Diagram(
        "The three codes of DIVA",
        "Three encoders read x: a code of the domain, whose prior knows the domain d, one of the "
        "rest, and one of the class, whose prior knows the class y. All three lead to the picture.",
    )
    # from the top down
    of_d = d.node("data", "$d$", 60, 25)
    of_y = d.node("data", "$y$", 260, 25)
    z_d = d.node("latent", "$z_d$", 60, 95, 44)
    z_x = d.node("latent", "$z_x$", 160, 95, 44)
    z_y = d.node("latent", "$z_y$", 260, 95, 44)
    decoder = d.node("network", "decoder", 160, 170, 100)
    x = d.node("data", "$x$", 160, 235)
    for a, b in ((of_d, z_d), (of_y, z_y), (z_d, decoder), (z_x, decoder), (z_y, decoder)):
        d.arrow(a, b)
    d.arrow(decoder, x)
    return panels(d)
