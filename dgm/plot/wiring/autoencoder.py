"""Chapter 4: what keeps an autoencoder from copying: a bottleneck, ties, corruption, noise."""

from dgm.plot.schematic import Diagram, Schematic, panels

_FAMILY = {  # name: (the column of parts, what it says)
    "Bottleneck": (
        [("data", "$x$"), ("network", "encoder"), ("latent", "$z$"), ("network", "decoder"),
         ("data", "$x'$")],
        "x, an encoder, a code z smaller than x, a decoder, and x back.",
    ),
    "Tied": (
        [("data", "$x$"), ("network", "$W$"), ("latent", "$z$"), ("network", "$W^T$"),
         ("data", "$x'$")],
        "x, a matrix W, a code z, the same matrix transposed, and x back.",
    ),
    "Denoising": (
        [("data", "$x$"), ("noise", "corrupt"), ("network", "encoder"), ("latent", "$z$"),
         ("network", "decoder"), ("data", "$x'$")],
        "x is corrupted before the encoder sees it; the clean x is asked for.",
    ),
    "Stochastic": (
        [("data", "$x$"), ("network", "encoder"), ("latent", "$z$"), ("noise", "+ $s ε$"),
         ("network", "decoder"), ("data", "$x'$")],
        "noise is added to a bounded code before it is decoded.",
    ),
    "Spiking": (
        [("data", "$x$"), ("network", "encoder"), ("latent", "0 1 1 0 1"), ("network", "decoder"),
         ("data", "$x'$")],
        "the code is a train of spikes, zeros and ones over time.",
    ),
}  # fmt: skip


def autoencoders() -> Schematic:
    """Five small panels: bottleneck, tied, denoising, stochastic, spiking."""
    return panels(*(_there_and_back_again(name) for name in _FAMILY))


def _there_and_back_again(name: str) -> Diagram:
    parts, says = _FAMILY[name]
    d = Diagram(f"{name}", f"From above: {says} The loss compares x' with x.", heading=True)
    step = 250 / (len(parts) - 1)
    nodes = d.column(48, parts, step=step)
    first, last = nodes[0], nodes[-1]
    d.arrow(last, first, via=[(98, last.y), (98, first.y)], dashed=True, head=False)
    d.note("loss", 104, (first.y + last.y) / 2, "start")
    return d
