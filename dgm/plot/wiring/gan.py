"""Chapter 16: two networks, one logit, and which gradient goes where."""

from dgm.plot.schematic import Diagram, Schematic, panels


def two_players() -> Schematic:
    """The critic's step beside the generator's: what is drawn, what is held, what learns."""
    return panels(_critic(), _generator())


def _critic() -> Diagram:
    d = Diagram(
        "The critic's step",
        "Noise z leads through the generator to a fake; fake and real picture enter the critic, "
        "which gives each a logit. The gradient of its loss goes to the critic and stops at the "
        "fake.",
        heading=True,
    )
    z, g, fake, real, critic, loss = _nodes(d)
    # what is computed, then where learning arrives
    d.arrow(z, g)
    d.arrow(g, fake)
    d.note("gradient stops here", 110, 108)
    for box in (fake, real):
        d.arrow(box, critic)
    d.arrow(critic, loss, "logits", beside=-7)
    d.arrow(loss, critic, dashed=True, via=((324, 215), (324, 150)))
    d.note("learns", 284, 94)
    return d


def _generator() -> Diagram:
    d = Diagram(
        "The generator's step",
        "The same way forward; the gradient passes back through the critic, whose weights are "
        "held, through the fake into the generator.",
        heading=True,
    )
    z, g, fake, real, critic, loss = _nodes(d)
    # what is computed, then where learning arrives
    d.arrow(z, g)
    d.arrow(g, fake)
    for box in (fake, real):
        d.arrow(box, critic)
    d.arrow(critic, loss, "logits", beside=-7)
    d.note("held", 284, 94)
    d.arrow(fake, g, dashed=True, via=((180, 36), (92, 36)))
    d.note("learns", 92, 104)
    return d


def _nodes(d: Diagram) -> tuple:
    z = d.node("latent", "$z$", 26, 70, 40)
    g = d.node("network", "$G$", 92, 70, 44)
    fake = d.node("data", "fake $G(z)$", 180, 70)
    real = d.node("data", "real $x$", 180, 175)
    critic = d.node("network", "critic", 284, 122, 64)
    loss = d.node("probability", "loss", 284, 215, 60)
    return z, g, fake, real, critic, loss
