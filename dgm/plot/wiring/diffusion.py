"""Chapter 19: a chain that is given and one that is learned, and what is masked and guessed."""

from itertools import pairwise

from dgm.plot.schematic import Diagram, Schematic, panels


def noise_chain() -> Schematic:
    """Noise comes in step by step by a law that is given; a network takes it out again."""
    return panels(_gaussian(), _absorbing())


def _gaussian() -> Diagram:
    d = Diagram(
        "Gaussian diffusion",
        "Four circles in a row, from the data x over z at time 0 and z at time t to noise z at "
        "time 1. Above, arrows to the right: noise is added, nothing is learned. Below, arrows to "
        "the left through a network that is told the time.",
        heading=True,
    )
    x = d.node("data", "$x$", 24, 90, 36)
    first = d.node("latent", "$z_0$", 104, 90, 40)
    middle = d.node("latent", "$z_t$", 184, 90, 40)
    last = d.node("latent", "$z_1$", 264, 90, 40)
    chain = (x, first, middle, last)
    # what is given
    for k, (a, b) in enumerate(pairwise(chain)):
        d.arrow(a, b, "$q$" if k == 1 else None)
    d.note("given: signal fades, noise comes in", 144, 44)
    # what is learned
    net = d.node("network", "network", 144, 175, 80)
    d.arrow(last, net, via=((264, 175),), dashed=True)
    d.arrow(net, x, via=((24, 175),), dashed=True)
    d.note("learned: the data in the picture", 144, 212)
    return d


def _absorbing() -> Diagram:
    d = Diagram(
        "Absorbing diffusion",
        "Three rows of four pixels: all known, two hidden, all hidden. Arrows down hide pixels in "
        "a random order, arrows up guess them back.",
        heading=True,
    )
    kinds = (("data",) * 4, ("data", "latent", "latent", "data"), ("latent",) * 4)
    rows = [
        [d.dot(kind, 60 + 34 * k, 50 + 65 * i) for k, kind in enumerate(row)]
        for i, row in enumerate(kinds)
    ]
    # hidden on the way down, guessed on the way up
    for above, below in pairwise(rows):
        d.arrow(above[0], below[0])
        d.arrow(below[3], above[3], dashed=True)
    d.note("hide", 30, 115)
    d.note("guess", 196, 115)
    d.note("filled: seen, others hidden", 112, 212)
    return d
