"""Chapter 22: two made-up tasks, and a code that is wound up."""

from dgm.plot.schematic import Diagram, Schematic, panels


def made_up_tasks() -> Schematic:
    """Two views of one picture that must find each other; a code that fills in what is hidden."""
    a = Diagram(
        "Contrastive", "Two views of a picture lead through one encoder to features, and through a "
        "head to what the loss compares. The head is thrown away.", heading=True,
    )  # fmt: skip
    # two views, one encoder
    x = a.node("data", "$x$", 165, 45)
    views = [a.node("data", "view", place, 100, 70) for place in (80, 250)]
    nets = [a.node("network", "encoder", place, 155, 90) for place in (80, 250)]
    codes = [a.node("latent", "$h$", place, 210, 50) for place in (80, 250)]
    loss = a.node("probability", "own view among all", 165, 280, 160)
    for view, net, code in zip(views, nets, codes, strict=True):
        a.arrow(x, view)
        a.arrow(view, net)
        a.arrow(net, code)
        a.arrow(code, loss, dashed=True)
    # holes, a code, what was there
    b = Diagram(
        "Masked", "A picture with hidden patches and the mask lead through an encoder to a code, "
        "and through a decoder to laws of the hidden pixels.", heading=True,
    )  # fmt: skip
    parts = [
        ("data", "$x$ with holes"), ("network", "encoder"), ("latent", "$h$"),
        ("network", "decoder"), ("probability", "hidden pixels"),
    ]  # fmt: skip
    b.column(120, parts, top=45, step=58)
    return panels(a, b)
