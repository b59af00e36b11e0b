"""Chapter 3: linear codes, told apart by what is fitted, what is random, and what a code may be."""

from dgm.plot.schematic import Diagram, Schematic, panels

_CODES = {  # name: (law of the code, step, what it gives, and how it reads)
    "PPCA": ("$z ~ N(0, I)$", "$W z + m$", "$N(x; W z + m, s^2 I)$",
             "Normal codes, and normal noise around their image."),
    "ICA": ("$z_k$ ~ sech, each alone", "$A z$", "",
            "Independent codes that are not normal, and no noise: x = A z, A square."),
    "Sparse coding": ("$p(z)$ ~ exp$(-λ |z|_1)$", "$W z$", "$N(x; W z, s^2 I)$",
                      "More atoms than pixels, and a prior that keeps most codes at zero."),
    "Noisy-OR": ("$z_k$ = 0 or 1", "any cause may fire", "Bernoulli$(x_d)$",
                 "Causes are on or off, and each alone can turn a symptom on."),
}  # fmt: skip


def linear_codes() -> Schematic:
    """Five small panels: a linear autoencoder or PCA, PPCA, ICA, sparse coding, noisy-OR."""
    return panels(_there_and_back(), *(_generator(name) for name in _CODES))


def _there_and_back() -> Diagram:
    d = Diagram(
        "PCA, linear autoencoder",
        "x is multiplied by a matrix to give a code z, and z by another one to give back x. "
        "Nothing is random and there is no p(x).",
        heading=True,
    )
    parts = [("data", "$x$"), ("network", "times $V$"), ("latent", "$z$"), ("network", "times $W$"),
             ("data", "$x'$")]  # fmt: skip
    d.column(70, parts, step=50)
    return d


def _generator(name: str) -> Diagram:
    law, step, noise, says = _CODES[name]
    d = Diagram(name, f"{says} The arrows run from the code to the data.", heading=True)
    parts = [("probability", law), ("latent", "$z$"), ("network", step), ("data", "$x$")]
    if noise:
        parts.insert(3, ("probability", noise))
    d.column(94, parts, step=50)
    return d
