"""Chapter 15: order and its reversal, a step in another basis, two ways to train one field."""

from dgm.plot.schematic import Diagram, Schematic, panels


def structured_steps() -> Schematic:
    """Two panels: two masked layers with the order reversed between them; a Sylvester step."""
    return panels(_masked_pair(), _other_basis())


def _masked_pair() -> Diagram:
    d = Diagram(
        "Two masked layers",
        "The third of three features passes through a map chosen by the first two. Then the order "
        "is reversed, and the first passes through a map chosen by what became of the others.",
        heading=True,
    )
    # features on three levels, the one that is read off the others marked by its arrows
    places = (45, 125, 205)
    x = [d.node("data", f"$x_{k + 1}$", p, 52, 44) for k, p in enumerate(places)]
    h = [d.node("step", f"$h_{k + 1}$", p, 132, 44) for k, p in enumerate(places)]
    z = [d.node("latent", f"$z_{k + 1}$", p, 212, 44) for k, p in enumerate(places)]
    for later in range(3):
        for earlier in range(later + 1):
            d.arrow(x[earlier], h[later], dashed=earlier < later)
            d.arrow(h[2 - earlier], z[2 - later], dashed=earlier < later)
    d.note("dashed: chooses the map", 125, 252)
    return d


def _other_basis() -> Diagram:
    d = Diagram(
        "Generalised Sylvester step",
        "x is brought to another basis by W, a triangular step is made there, the change is "
        "brought back by the inverse of W and added to x.",
        heading=True,
    )
    # down on the right through the other basis, straight down on the left
    x = d.node("data", "$x$", 45, 52, 44)
    there = d.node("step", "$W$", 135, 52, 60)
    step = d.node("network", "masked $f$", 135, 124, 100)
    back = d.node("step", "$W^{−1}$", 135, 196, 70)
    z = d.node("latent", "$z$", 45, 196, 44)
    d.arrow(x, there)
    d.arrow(there, step)
    d.arrow(step, back)
    d.arrow(back, z)
    d.arrow(x, z)
    d.note("log det = $Σ$ log(1 + slope of $f$)", 18, 240, "start")
    return d


def two_trainings() -> Schematic:
    """Two panels: by likelihood the field is asked all along a solve, by matching it is once."""
    return panels(_by_likelihood(), _by_matching())


def _by_likelihood() -> Diagram:
    d = Diagram(
        "By likelihood",
        "From x a solver goes backwards in time, asks field and divergence many times, and ends "
        "at a code, which the base density scores.",
        heading=True,
    )
    x = d.node("data", "$x$ at $t = 1$", 125, 50, 110)
    field = d.node("network", "field and divergence\nat every step of the solver", 125, 118, 210)
    z = d.node("latent", "$z$ at $t = 0$", 125, 186, 110)
    score = d.node("probability", "log $p(z) −$ $∫$ divergence", 125, 246, 200)
    d.arrow(x, field)
    d.arrow(field, z)
    d.arrow(z, score)
    return d


def _by_matching() -> Diagram:
    d = Diagram(
        "By flow matching",
        "A draw of the base, an example and a time give one place on the way; the field is asked "
        "there once, and compared with the velocity of the way.",
        heading=True,
    )
    # three draws make one place; the field is asked there
    noise = d.node("noise", "$x_0$", 45, 50, 44)
    time = d.node("noise", "$t$", 125, 50, 44)
    data = d.node("data", "$x_1$", 205, 50, 44)
    place = d.node("step", "$x_t$ on the way", 125, 118, 130)
    field = d.node("network", "field, once", 125, 186, 110)
    score = d.node("step", "$|f(t, x_t) − v_t|^2$", 125, 246, 150)
    for start in (noise, time, data):
        d.arrow(start, place)
    d.arrow(place, field)
    d.arrow(field, score)
    return d
