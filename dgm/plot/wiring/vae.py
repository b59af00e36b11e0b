"""Chapter 5: the variational autoencoder, its bound and where each term comes from; many draws."""

from dgm.plot.schematic import Diagram, Schematic, panels


def vae_bound() -> Schematic:
    """Encoder, reparameterisation, decoder and the two terms of the bound; then how it draws."""
    return panels(_bound(), _draw())


def _bound() -> Diagram:
    d = Diagram(
        "To train: the bound",
        "An encoder turns x into mean and width of q(z given x). Noise eps times the width plus "
        "the mean is z. A decoder turns z into p(x given z), whose log is the first term of the "
        "bound. The second, subtracted, is the divergence of q from the prior p(z).",
        heading=True,
    )
    # the way up and down
    x = d.node("data", "$x$", 60, 50)
    encoder = d.node("network", "encoder", 60, 110, 100)
    q = d.node("probability", "$q(z | x)$", 60, 180, 100)
    eps = d.node("noise", "$ε$ ~ $N(0, I)$", 230, 110)
    z = d.node("latent", "$z$", 230, 180, 44)
    decoder = d.node("network", "decoder", 230, 245, 100)
    p = d.node("probability", "$p(x | z)$", 230, 310, 100)
    # the two terms
    prior = d.node("probability", "$p(z)$", 60, 245, 70)
    kl = d.node("step", "KL$(q || p)$", 60, 310, 100)
    bound = d.node("step", "bound = log $p(x | z)$ − KL", 145, 380, 210)
    for a, b in ((x, encoder), (encoder, q), (eps, z), (z, decoder), (decoder, p), (p, bound)):
        d.arrow(a, b)
    d.arrow(q, z, "$μ + σ ε$", beside=13)
    d.arrow(prior, kl)
    d.arrow(q, kl, via=[(4, 180), (4, 310)])
    d.arrow(kl, bound)
    return d


def _draw() -> Diagram:
    d = Diagram(
        "To draw",
        "z is drawn from the prior p(z), the decoder turns it into p(x given z), and x is drawn "
        "from that. The encoder has no part in it.",
        heading=True,
    )
    parts = [
        ("probability", "$p(z)$", 50, 70),
        ("latent", "$z$", 120, 44),
        ("network", "decoder", 185, 100),
        ("probability", "$p(x | z)$", 250, 100),
        ("data", "$x$", 320),
    ]
    d.column(70, parts, ("draw", "", "", "draw"))
    return d


def importance_draws(k: int = 3) -> Schematic:
    """The importance-weighted bound: k codes of one x, their weights averaged before the log."""
    if k not in (2, 3):
        raise ValueError(f"k: got {k}; two or three draws are drawn")
    d = Diagram(
        "The importance-weighted bound",
        f"The encoder's q(z given x) gives {k} codes. Each has a weight: p(x, z) divided by "
        "q(z given x). The log of the mean of the weights is the bound.",
    )
    x = d.node("data", "$x$", 160, 20)
    q = d.node("probability", "$q(z | x)$", 160, 80, 100 * k - 20)
    mean = d.node("step", "mean of the weights", 160, 270, 100 * k - 20)
    bound = d.node("step", "log", 160, 330, 60)
    d.arrow(x, q, "encoder")
    # each code with its weight
    for n in range(k):
        place = 160 + 100 * (n - (k - 1) / 2)
        z = d.node("latent", f"$z_{n + 1}$", place, 140, 44)
        ratio = d.node("probability", f"$p(x, z_{n + 1})$ /\n$q(z_{n + 1} | x)$", place, 205, 92)
        d.arrow((place, 95.5), z)
        d.arrow(z, ratio)
        d.arrow(ratio, (place, 254.5))
    d.arrow(mean, bound)
    return panels(d)
