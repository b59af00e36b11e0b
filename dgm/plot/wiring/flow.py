"""Chapter 13: couplings there and back, masks, a multi-scale stack as it is, learned noise."""

from torch import Tensor, nn

from dgm.plot.schematic import Diagram, Schematic, panels
from dgm.plot.wiring.layers import describe, draw_groups, repeats

_COUPLINGS = {  # class: (forward step, inverse step, log-determinant)
    "AdditiveCoupling": ("+ $t$", "− $t$", "0"),
    "AffineCoupling": ("× $e^s$, + $t$", "− $t$, × $e^{−s}$", "$Σ s$"),
    "LogisticMixtureCoupling": (
        "CDF of mixture,\nlogit, × $e^s$, + $t$", "− $t$, × $e^{−s}$,\nbisection",
        "$Σ$ ($s$ + log slope)",
    ),
}  # fmt: skip


def coupling(layer: nn.Module) -> Schematic:
    """One coupling layer forward and inverse: the network looks at one half only, both ways.

    Parameters
    ----------
    layer : AdditiveCoupling, AffineCoupling or LogisticMixtureCoupling of dgm/flow.

    Raises
    ------
    ValueError : any other layer.
    """
    name = type(layer).__name__
    if name not in _COUPLINGS:
        raise ValueError(f"layer: got {name}; known are {', '.join(_COUPLINGS)}")
    there, back, log_det = _COUPLINGS[name]
    components = f"{layer.components} logistics" if hasattr(layer, "components") else ""
    return panels(
        _one_way("Forward", ("$x_1$", "$x_2$"), ("$z_2$", "$z_1$"), there, components, log_det),
        _one_way("Inverse", ("$z_2$", "$z_1$"), ("$x_1$", "$x_2$"), back, components, ""),
    )


def _one_way(
    title: str, top: tuple, bottom: tuple, step: str, components: str, log_det: str
) -> Diagram:
    kinds = ("data", "latent") if title == "Forward" else ("latent", "data")
    words = step.replace("$", "").replace("\n", " ")
    d = Diagram(
        title,
        f"One half passes unchanged, and a network reads it. The other half is changed by what the "
        f"network says: {words}. In z the halves have changed places.",
        heading=True,
    )
    # the half that is read, the half that is changed
    a, b = d.node(kinds[0], top[0], 40, 52, 44), d.node(kinds[0], top[1], 245, 52, 44)
    net = d.node("network", "network" + (f"\n{components}" * bool(components)), 100, 120, 94)
    change = d.node("step", step, 245, 120)
    c, e = d.node(kinds[1], bottom[0], 40, 195, 44), d.node(kinds[1], bottom[1], 245, 195, 44)
    d.arrow(a, c)
    d.arrow((40, 120), net)
    d.arrow(net, change)
    d.arrow(b, change)
    d.arrow(change, e)
    if log_det:
        d.note(f"log det = {log_det}", 18, 232, "start")
    return d


def coupling_masks(*layers: nn.Module | Tensor) -> Schematic:
    """The masks of coupling layers as they are: what is seen, what is changed.

    Parameters
    ----------
    *layers : MaskedCoupling of dgm/flow, or masks (C, H, W) such as `checkerboard_mask(shape)` and
        `channel_mask(shape)`; at most 8 × 8, the first 4 channels are drawn.
    """
    return panels(*(_mask_panel(getattr(layer, "mask", layer)) for layer in layers))


def _mask_panel(mask: Tensor) -> Diagram:
    n_channels, height, width = mask.shape
    if max(height, width) > 8:
        raise ValueError(f"mask: {height} × {width} is too large to draw; at most 8 × 8")
    by_channel = bool((mask == mask[:, :1, :1]).all())
    title = "Channel mask" if by_channel else "Checkerboard mask"
    d = Diagram(
        title,
        f"{n_channels} channels of {height} × {width}; {int(mask.sum())} of {mask.numel()} values "
        "are seen and kept, the others are changed.",
        heading=True,
        legend={"data": "seen, kept", "latent": "changed"},
    )
    # a grid for each channel
    shown = mask[:4]
    side = min(24, (320 / len(shown) - 14) / width)
    for k, plane in enumerate(shown.tolist()):
        cells = [["data" if v else "latent" for v in row] for row in plane]
        x = (side * width + 14) * k + side * width / 2
        d.grid(cells, x, 34 + side * height / 2, side)
        if n_channels > 1:
            d.note(f"channel {k + 1}" if side * width > 60 else f"{k + 1}", x,
                   48 + side * height)  # fmt: skip
    return d


def multiscale(model: nn.Module) -> Schematic:
    """A multi-scale flow as it is: its levels, their layers counted, what each leaves behind.

    Parameters
    ----------
    model : a `Multiscale` of dgm/flow or whatever holds one, such as ``zoo.build("glow", kind)``.

    Raises
    ------
    ValueError : there is none inside.
    """
    inner = [m for m in model.modules() if type(m).__name__ == "Multiscale"]
    if not inner:
        raise ValueError(f"model: {type(model).__name__} holds no Multiscale")
    (c, h, w), levels = inner[0].shape, inner[0].levels
    d = Diagram(
        "A multi-scale flow",
        f"A picture of {c} × {h} × {w} goes through {len(levels)} levels. Each squeezes it, "
        "applies its layers, and all but the last leave half of the channels behind as part of z.",
    )
    above, y = d.node("data", f"$x$: {c} × {h} × {w}", 120, 20), 74
    before = [describe(layer) for layer in _before(model, inner[0])]
    if before:
        nodes = draw_groups(d, repeats(before), _learned(model), 120, y)
        d.arrow(above, nodes[0])
        above, y = nodes[-1], nodes[-1].y + 54
    # level by level
    for k, layers in enumerate(levels):
        c, h, w = 4 * c, h // 2, w // 2
        squeeze = d.node("step", f"squeeze: {c} × {h} × {w}", 120, y, 180)
        d.arrow(above, squeeze)
        names = [describe(layer) for layer in layers]
        nodes = draw_groups(d, repeats(names), _learned(model), 120, y + 62)
        d.arrow(squeeze, nodes[0])
        y = nodes[-1].y + 62
        if k + 1 < len(levels):
            above, c = d.node("step", "half", 120, y, 60), c // 2
            d.arrow(nodes[-1], above)
            z = d.node("latent", f"$z_{k + 1}$: {c} × {h} × {w}", 256, y, 120)
            d.arrow(above, z)
            y += 54
        else:
            d.arrow(nodes[-1], d.node("latent", f"$z_{k + 1}$: {c} × {h} × {w}", 120, y))
    return panels(d)


def _learned(model: nn.Module) -> dict[str, bool]:
    """Which of the layers inside, by what is written on them, have weights."""
    return {describe(m): any(True for _ in m.parameters()) for m in model.modules()}


def _before(model: nn.Module, inner: nn.Module) -> list[nn.Module]:
    """The layers that a flow applies before it comes to the multi-scale stack."""
    for module in model.modules():
        layers = list(getattr(module, "layers", ()))
        if inner in layers:
            return layers[: layers.index(inner)]
    return []


def learned_noise(model: nn.Module) -> Schematic:
    """How integers become real numbers in this model: noise drawn evenly, or by a network.

    Parameters
    ----------
    model : Dequantize of dgm/flow, with `UniformNoise` or `FlowNoise`.
    """
    learned = type(model.noise).__name__ == "FlowNoise"
    d = Diagram(
        "Learned noise" if learned else "Uniform noise",
        ("A network reads x and bends logistic noise, which a sigmoid presses into 0 to 1. "
         if learned else "Noise u is drawn evenly between 0 and 1. ")
        + "x + u goes to the flow. The bound is log p(x + u) minus log q(u given x).",
        heading=True,
    )  # fmt: skip
    # where the noise comes from
    x, low = d.node("data", "integers $x$", 70, 55), 190 if learned else 120
    total = d.node("step", "+", 70, low, 26, 26)
    if learned:
        eps = d.node("noise", "$ε$", 268, 55, 50)
        net = d.node("network", "encoder", 155, 120, 90)
        bend = d.node("network", f"layers: {len(model.noise.layers)},\nsigmoid", 268, 120, 92)
        u = d.node("latent", "$u$", 268, low, 44)
        d.arrow((70, 120), net)
        for a, b in ((net, bend), (eps, bend), (bend, u)):
            d.arrow(a, b)
    else:
        u = d.node("noise", "$u$ in [0, 1)", 268, low, 100)
    # the two terms of the bound
    d.arrow(x, total)
    d.arrow(u, total)
    law = d.node("probability", "flow: $p(x + u)$", 76, low + 60, 130)
    cost = d.node("probability", "$q(u | x)$" if learned else "$q(u)$ = 1", 262, low + 60, 90)
    d.arrow(total, law)
    d.arrow(u, cost)
    bound = d.node("step", "bound = log $p(x + u)$ − log $q$", 165, low + 120, 270)
    d.arrow(law, bound)
    d.arrow(cost, bound)
    return panels(d)
