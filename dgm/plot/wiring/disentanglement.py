"""Chapter 23: where a price is taken, and two codes of one model."""

from dgm.plot.schematic import Diagram, Schematic, panels


def priced_code() -> Schematic:
    """A VAE with a price beside its reconstruction: what each of six prices looks at."""
    d = Diagram(
        "A VAE whose code has a price",
        "The picture x goes through an encoder to q(z given x), a draw z through a decoder back to "
        "x. A price looks at q(z given x) and z of the whole batch: its KL, a critic's logit, the "
        "batch's own density, or the covariance.",
    )
    # the VAE, from left to right and down
    x = d.node("data", "$x$", 40, 40)
    encoder = d.node("network", "encoder", 130, 40, 90)
    z = d.node("latent", "$q(z|x)$, $z$", 250, 40, 100)
    decoder = d.node("network", "decoder", 250, 120, 90)
    likelihood = d.node("probability", "log $p(x|z)$", 80, 120, 110)
    d.arrow(x, encoder)
    d.arrow(encoder, z)
    d.arrow(z, decoder)
    d.arrow(decoder, likelihood)
    # the price
    price = d.node("step", "price of the batch", 225, 205, 190)
    total = d.node("step", "loss = weight × price − log $p(x|z)$", 165, 280, 260)
    d.arrow(z, price, via=[(314, 40), (314, 160)])
    d.arrow(price, total)
    d.arrow(likelihood, total, via=[(80, 160), (80, 240)])
    return panels(d)
