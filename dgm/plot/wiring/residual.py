"""Chapter 14: one step three times (ResNet, ODE, invertible ResNet), and a dense block."""

from torch import nn

from dgm.plot.schematic import Diagram, Schematic, panels

_STEPS = {  # name: (the box beside the skip, what is below, what it says)
    "ResNet": ("any $g$", "back: not known", "g may be anything, and the step may not be undone"),
    "ODE": ("$h f$, $h$ → 0", "back: run time backwards",
            "the step is so short that it can be undone by a step back"),
    "Invertible ResNet": ("$g$, slope < 1", "back: $x$ ← $z$ − $g$($x$)",
                          "g shrinks distances, and the step is undone by a fixed point"),
}  # fmt: skip


def residual_steps() -> Schematic:
    """Three panels: the same skip connection, and what is asked of the branch beside it."""
    return panels(*(_residual_step(name) for name in _STEPS))


def _residual_step(name: str) -> Diagram:
    branch, below, says = _STEPS[name]
    d = Diagram(name, f"x goes on, and a network's answer to x is added; {says}.", heading=True)
    x, plus = d.node("data", "$x$", 40, 45, 44), d.node("step", "+", 40, 165, 26, 26)
    net, z = d.node("network", branch, 130, 105, 118), d.node("latent", "$z$", 40, 225, 44)
    d.arrow(x, plus)
    d.arrow(x, net, via=[(130, 45)])
    d.arrow(net, plus, via=[(130, 165)])
    d.arrow(plus, z)
    d.note(below, 18, 262, "start")
    return d


def dense_block(net: nn.Module) -> Schematic:
    """A dense block as it is: what each layer is given, what it adds, and the way back to C.

    Parameters
    ----------
    net : DenseContractive of dgm/residual.

    Raises
    ------
    ValueError : any other module, or one of more than four layers.
    """
    if type(net).__name__ != "DenseContractive" or len(net.parts) > 5:
        raise ValueError(f"net: got {type(net).__name__}; draws a DenseContractive of at most 4")
    *grows, last = net.parts
    channels = grows[0].f[0].v.shape[1]
    d = Diagram(
        "A dense block",
        f"x of {channels} channels; each of {len(grows)} layers reads all that came before, and "
        f"what it makes is put beside it, both weighted; a last layer gives {channels} channels.",
    )
    # what comes in, what each layer puts beside it
    above, width = d.node("data", f"$x$: {channels}", 90, 24, 90), channels
    for k, grow in enumerate(grows):
        y = 24 + 92 * k
        grown = 2 * grow.f[0].weight.shape[0]
        layer = d.node("network", f"layer, CLipSwish: {grown}", 236, y + 46, 174)
        width += grown
        beside = d.node("latent", f"{width} together", 90, y + 92, 120)
        d.arrow(above, beside)
        d.arrow((90, y + 46), layer)
        d.arrow(layer, beside, via=[(236, y + 92)])
        d.note("× $η_1$", 60, y + 56)
        d.note("× $η_2$", 262, y + 79)
        above = beside
    # back to as many channels as came in
    end = d.node("network", f"last layer: {last.weight.shape[0]}", 90, above.y + 62, 130)
    d.arrow(above, end)
    return panels(d)
