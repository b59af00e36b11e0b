"""Any network: its layers as they are, equal ones counted."""

from torch import nn

from dgm.plot.schematic import Diagram, Schematic, panels


def stack(net: nn.Module, title: str = "") -> Schematic:
    """The layers of a network in the order of its construction, repeated groups counted.

    Lists and sequences in it are opened; dropout is left out. ``title``: its class if empty.

    Raises
    ------
    ValueError : it has no layers inside.
    """
    layers = _opened(net)
    if not layers:
        raise ValueError(f"net: {type(net).__name__} has no layers inside")
    groups = repeats([describe(layer) for layer in layers])
    learned = {describe(layer): any(True for _ in layer.parameters()) for layer in layers}
    told = ", ".join((f"{n} times " if n > 1 else "") + " and ".join(g) for n, g in groups)
    d = Diagram(title or type(net).__name__, f"In this order: {told}.", heading=bool(title))
    draw_groups(d, groups, learned, 130, 58 if title else 26)
    return panels(d)


def draw_groups(
    d: Diagram, groups: list[tuple[int, list[str]]], learned: dict[str, bool], x: float, y: float
) -> list:
    """A column of nodes from the height y down, a frame around what is repeated; the nodes."""
    nodes = []
    for count, names in groups:
        y += 12 if count > 1 and nodes else 0
        group = []
        for name in names:
            group.append(d.node("network" if learned[name] else "step", name, x, y))
            y += 46
        if count > 1:
            box = d.frame(group, pad=8)
            d.note(f"× {count}", box.span(0)[1] + 8, box.y, "start")
            y += 12
        nodes += group
    for k in range(1, len(nodes)):
        d.arrow(nodes[k - 1], nodes[k])
    return nodes


def describe(layer: nn.Module) -> str:
    """A layer's class and, for the plain ones, its sizes."""
    name = type(layer).__name__
    if hasattr(layer, "in_features") and hasattr(layer, "out_features"):
        return f"{name} {layer.in_features} → {layer.out_features}"
    if hasattr(layer, "kernel_size") and hasattr(layer, "in_channels"):
        kernel = "×".join(str(k) for k in layer.kernel_size)
        return f"{name} {kernel}, {layer.in_channels} → {layer.out_channels}"
    if hasattr(layer, "dilation"):
        return f"{name}, dilation {layer.dilation}"
    return name


def repeats(names: list[str]) -> list[tuple[int, list[str]]]:
    """Names in groups that come several times in a row: (how often, the group).

    >>> repeats(["a", "b", "a", "b", "c"])
    [(2, ['a', 'b']), (1, ['c'])]
    """
    groups, i = [], 0
    while i < len(names):
        best = (1, 1)  # how often, of what length
        for length in range(1, (len(names) - i) // 2 + 1):
            group, count = names[i : i + length], 1
            while names[i + count * length : i + (count + 1) * length] == group:
                count += 1
            if count > 1 and count * length > best[0] * best[1]:
                best = (count, length)
        count, length = best
        groups.append((count, names[i : i + length]))
        i += count * length
    return groups


def _opened(net: nn.Module) -> list[nn.Module]:
    layers = []
    for child in net.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            layers += list(child)
        elif not isinstance(child, nn.Dropout | nn.Dropout2d):
            layers.append(child)
    return layers
