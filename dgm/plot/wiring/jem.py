"""Chapter 20: one network for the class and for the picture."""

from dgm.plot.schematic import Diagram, Schematic, panels


def one_network() -> Schematic:
    """The logits of a classifier lead to p(y | x) by a softmax, to -E(x) by a log-sum-exp."""
    d = Diagram(
        "One network, two readings",
        "The picture x leads through a network to its logits. Their softmax is p(y given x), their "
        "log-sum-exp is log p(x) up to a constant.",
    )
    # from the picture to the logits, and two ways to read them
    x, net = d.node("data", "$x$", 150, 30), d.node("network", "network", 150, 90, 110)
    logits = d.node("latent", "logits $f(x)$", 150, 150, 120)
    laws = [
        d.node("probability", "softmax: $p(y | x)$", 75, 225, 140),
        d.node("probability", "LSE: log $p(x) Z$", 235, 225, 140),
    ]
    # who leads where
    d.arrow(x, net)
    d.arrow(net, logits)
    for law in laws:
        d.arrow(logits, law)
    return panels(d)
