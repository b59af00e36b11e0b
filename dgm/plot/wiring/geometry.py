"""Chapter 9: three latent spaces that are not flat, each with its draw."""

from dgm.plot.schematic import Diagram, Schematic, panels

_SPACES = {  # name: (what the network gives, its law, the code, what is read off it)
    "A sphere": ("direction, $κ$", "vMF$(μ, κ)$", "$z$ on $S^d$",
                 "a direction and a concentration give a bell on the sphere"),
    "Rotations": ("six numbers, $σ$", "exp of $N(0, σ^2)$", "$R$ in $SO(3)$",
                  "a mean rotation times the exponential of a small Gaussian vector"),
    "A curved plane": ("mean, $σ$", "$N(μ, σ^2)$", "$z$, metric $J^T J$",
                       "a flat code whose distances are those of the decoded pictures"),
}  # fmt: skip


def latent_spaces() -> Schematic:
    """Three panels: a code on a sphere, a rotation as code, a plane measured by its decoder."""
    return panels(*(_space(name) for name in _SPACES))


def _space(name: str) -> Diagram:
    gives, law, code, says = _SPACES[name]
    d = Diagram(name, f"From above: x, an encoder, {says}, a decoder, x again.", heading=True)
    parts = [
        ("data", "$x$", 42),
        ("network", f"encoder:\n{gives}", 102, 160),
        ("probability", law, 165, 160),
        ("latent", code, 222, 140),
        ("network", "decoder", 275, 100),
        ("data", "$x$", 325),
    ]
    d.column(95, parts)
    return d
