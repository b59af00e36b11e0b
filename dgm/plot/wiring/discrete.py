"""Chapter 8: a map of codes between encoder and decoder, two maps, a draw with a gradient."""

from dgm.plot.schematic import Diagram, Schematic, panels


def code_map() -> Schematic:
    """VQ-VAE: how a picture becomes codes and is scored; how a picture is drawn."""
    return panels(_there(), _drawn())


def _there() -> Diagram:
    d = Diagram(
        "To score and to train",
        "An encoder turns x into a map of features h. Each feature is replaced by the nearest of K "
        "vectors, whose numbers are the codes. A decoder turns the vectors into p(x given codes), "
        "and a prior says what the codes cost. In training the gradient passes from the vectors "
        "straight to h.",
        heading=True,
    )
    # down the left, up the right
    x = d.node("data", "$x$", 66, 50)
    encoder = d.node("network", "encoder", 66, 110, 100)
    h = d.node("latent", "$h$", 66, 180, 44)
    nearest = d.node("step", "nearest of\n$e_1, ..., e_K$", 66, 250, 110)
    codes = d.node("latent", "codes $k$", 66, 325, 90)
    prior = d.node("probability", "log $p(k)$", 66, 390, 100)
    vectors = d.node("latent", "vectors $e_k$", 248, 250, 110)
    decoder = d.node("network", "decoder", 248, 175, 100)
    p = d.node("probability", "log $p(x | k)$", 248, 110, 120)
    bound = d.node("step", "bound = sum", 248, 390, 110)
    for a, b in ((x, encoder), (encoder, h), (h, nearest), (nearest, codes), (vectors, decoder)):
        d.arrow(a, b)
    d.arrow(decoder, p)
    d.arrow(nearest, vectors)
    d.arrow(codes, prior, "prior")
    d.arrow(prior, bound)
    d.arrow(p, bound, via=[(326, 110), (326, 390)])
    d.arrow((193, 236), (90, 188), dashed=True)
    d.note("gradient", 136, 196, "start")
    return d


def _drawn() -> Diagram:
    d = Diagram(
        "To draw",
        "Codes are drawn from the prior, looked up in the codebook, and decoded; then x is drawn.",
        heading=True,
    )
    parts = [
        ("probability", "prior $p(k)$", 50, 110),
        ("latent", "codes $k$", 120, 90),
        ("latent", "vectors $e_k$", 190, 110),
        ("network", "decoder", 255, 100),
        ("probability", "$p(x | k)$", 320, 100),
        ("data", "$x$", 390),
    ]
    d.column(80, parts, ("draw", "look up", "", "", "draw"))
    return d


def two_levels() -> Schematic:
    """VQ-VAE-2: a coarse map of codes, a fine one given it, and their prior in the same order."""
    d = Diagram(
        "Two maps of codes",
        "The encoder's features become a coarse map of codes. What they say goes down to the fine "
        "level, which sees the features too and makes a fine map of codes. The decoder gets both. "
        "The prior has two factors: the coarse map, and the fine map given the coarse one.",
    )
    # up: two maps between encoder and decoder; down: what they cost
    x = d.node("data", "$x$", 60, 30)
    h = d.node("network", "encoder", 60, 95, 100)
    top = d.node("latent", "coarse codes\n$k_1$", 60, 175, 116)
    bottom = d.node("latent", "fine codes\n$k_2$", 240, 175, 116)
    decoder = d.node("network", "decoder", 240, 95, 100)
    p = d.node("probability", "$p(x | k_1, k_2)$", 240, 30, 120)
    first = d.node("probability", "$p(k_1)$", 60, 250, 90)
    second = d.node("probability", "$p(k_2 | k_1)$", 240, 250, 110)
    for a, b in ((x, h), (h, top), (top, bottom), (bottom, decoder), (decoder, p)):
        d.arrow(a, b)
    d.arrow((110, 103), (186, 150))
    d.arrow((118, 160), (190, 106))
    d.arrow(top, first)
    d.arrow(bottom, second)
    return panels(d)


def relaxed_draw() -> Schematic:
    """A categorical draw as an argmax of noisy logits, and the softmax that replaces it."""
    d = Diagram(
        "A draw that lets the gradient through",
        "Logits plus Gumbel noise. Their argmax is an exact draw, a code, and is what the bound "
        "is evaluated at. Their softmax at a temperature is a soft draw with a gradient, and is "
        "what training uses.",
    )
    # one noise, two uses
    x = d.node("data", "$x$", 75, 30)
    encoder = d.node("network", "encoder", 75, 90, 100)
    d.node("noise", "Gumbel $g$", 240, 90, 100)
    total = d.node("step", "logits + $g$", 75, 160, 110)
    hard = d.node("latent", "argmax: a code", 75, 235, 130)
    soft = d.node("step", "softmax(· / $τ$)", 240, 160, 124)
    relaxed = d.node("latent", "a soft code", 240, 235, 110)
    d.arrow(x, encoder)
    d.arrow(encoder, total)
    d.arrow((190, 100), (132, 150))
    d.arrow(total, hard, "to evaluate")
    d.arrow(total, soft)
    d.arrow(soft, relaxed, "to train")
    return panels(d)
