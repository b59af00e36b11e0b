"""Chapter 27: who pops and who pushes in bits back, and one stage of an integer flow."""

import itertools

from dgm.plot.schematic import Diagram, Schematic, panels


def bits_back_steps() -> Schematic:
    """Three steps on a stack of bits for the encoder, and the same three undone by the decoder."""
    return panels(_side(True), _side(False))


def _side(encoder: bool) -> Diagram:
    steps = [
        ("pop", "$z$", "$q(z | x)$", "bits go away"),
        ("push", "$x$", "$p(x | z)$", "bits are added"),
        ("push", "$z$", "$p(z)$", "bits are added"),
    ]
    if not encoder:
        turned = {"pop": "push", "push": "pop"}
        words = {"pop": "bits come back", "push": "bits are read"}
        steps = [(turned[how], what, law, words[how]) for how, what, law, _ in reversed(steps)]
    order = "first to last" if encoder else "undone, last to first"
    d = Diagram(
        "The encoder" if encoder else "The decoder",
        f"Three steps on one stack of bits, {order}: "
        + ", then ".join(
            f"{how} {what.strip('$')} by {law.strip('$')}" for how, what, law, _ in steps
        )
        + ".",
        heading=True,
    )
    # the stack on the left, a step to the right of it
    boxes = []
    for row, (how, what, law, said) in enumerate(steps):
        y = 60 + 90 * row
        stack = d.node("step", "stack", 45, y, 70)
        value = d.node("data" if what == "$x$" else "latent", what, 260, y, 50)
        if how == "pop":
            d.arrow(stack, value, f"pop by {law}")
        else:
            d.arrow(value, stack, f"push by {law}")
        d.note(said, 160, y + 24)
        boxes.append(stack)
    for above, below in itertools.pairwise(boxes):
        d.arrow(above, below)
    return d


def integer_stage() -> Schematic:
    """One stage: shifts within what leaves, then its law given what stays."""
    d = Diagram(
        "One stage of an integer flow",
        "The entries are parted into those that stay, a, and two halves that leave, b and c. The "
        "second half c is shifted by a rounded function of a and b. What leaves has a law that "
        "looks at a. What stays goes to the next stage.",
    )
    # three parts, a shift, a law
    x = d.node("data", "$x$", 160, 20)
    stays, first, second = (
        d.node("data", text, at, 90, 60) for text, at in (("$a$", 50), ("$b$", 160), ("$c$", 270))
    )
    net = d.node("network", "round\n$t(a, b)$", 150, 165, 90)
    moved = d.node("latent", "$c$ + shift", 270, 165, 90)
    law = d.node("probability", "$P(b, c | a)$", 215, 245, 120)
    rest = d.node("data", "next stage", 50, 245, 90)
    # who leads where
    for part in (stays, first, second):
        d.arrow(x, part)
    d.arrow(stays, net)
    d.arrow(first, net)
    d.arrow(net, moved)
    d.arrow(second, moved)
    d.arrow(moved, law)
    d.arrow(stays, rest)
    return panels(d)
