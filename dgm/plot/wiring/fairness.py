"""Chapter 24: two layers of codes beside a group, and codes with a name of their own."""

from dgm.plot.schematic import Diagram, Schematic, panels


def beside_the_group() -> Schematic:
    """The variational fair autoencoder in two panels: how it draws, how it reads."""
    return panels(_fair_draws(), _fair_reads())


def _fair_draws() -> Diagram:
    d = Diagram(
        "How it draws",
        "A class y and a style z2 lead to a code z1. The code and the group s lead to x. No arrow "
        "leads from s to z1.",
        heading=True,
    )
    # from the top down
    y, z2 = d.node("latent", "class $y$", 70, 60, 80), d.node("latent", "style $z_2$", 190, 60, 80)
    z1, s = d.node("latent", "code $z_1$", 130, 135, 90), d.node("data", "group $s$", 250, 135, 80)
    x = d.node("data", "$x$", 190, 210)
    for a, b in ((y, z1), (z2, z1), (z1, x), (s, x)):
        d.arrow(a, b)
    return d


def _fair_reads() -> Diagram:
    d = Diagram(
        "How it reads",
        "The encoder sees x and the group s and gives z1. From z1 alone a classifier guesses y; a "
        "second encoder with y gives z2. A penalty compares the codes of the groups.",
        heading=True,
    )
    # who sees what
    x, s = d.node("data", "$x$", 80, 55), d.node("data", "$s$", 190, 55)
    encoder = d.node("network", "$q(z_1 | x, s)$", 135, 120, 120)
    guess = d.node("network", "$q(y | z_1)$", 55, 200, 96)
    style = d.node("network", "$q(z_2 | z_1, y)$", 185, 200, 124)
    penalty = d.node("step", "groups' codes\nalike?", 270, 120, 110)
    for a, b in ((x, encoder), (s, encoder), (encoder, guess), (encoder, style)):
        d.arrow(a, b)
    d.arrow(encoder, penalty)
    return d


def named_codes() -> Schematic:
    """The flexibly fair VAE: a code for all, one for each attribute, a critic of their ties."""
    d = Diagram(
        "A code for each attribute",
        "The encoder gives z and one entry b for each attribute. Each b is told to speak of its "
        "attribute; a critic looks for ties between all of them; whoever uses the code leaves out "
        "the entries of the attributes that he calls sensitive.",
    )
    # the codes, and who compares them
    x = d.node("data", "$x$", 156, 30)
    z = d.node("latent", "$z$", 50, 105, 60)
    first = d.node("latent", "$b_1$ tells $a_1$", 156, 105, 100)
    second = d.node("latent", "$b_2$ tells $a_2$", 272, 105, 100)
    critic = d.node("network", "critic: are the parts tied?", 156, 185, 280)
    for node in (z, first, second):
        d.arrow(x, node)
        d.arrow(node, critic)
    return panels(d)
