"""Chapter 18: chains that run along with training, and a flow that proposes for an energy."""

from dgm.plot.schematic import Diagram, Schematic, panels


def phases() -> Schematic:
    """Contrastive training with its buffer beside a Boltzmann generator."""
    return panels(_contrast(), _generator())


def _contrast() -> Diagram:
    d = Diagram(
        "Contrastive training",
        "Chains come out of a buffer, some begun anew at noise, move by Langevin's steps on the "
        "energy and go back; the energy of data is lowered, that of the chains raised.",
        heading=True,
    )
    fresh = d.node("noise", "fresh noise", 62, 60)
    buffer = d.node("latent", "buffer", 62, 150)
    chain = d.node("network", "steps\non $E$", 172, 150)
    data = d.node("data", "data + noise", 172, 60)
    energy = d.node("network", "$E$", 284, 105, 44)
    loss = d.node("probability", "loss", 284, 195, 60)
    # what is computed, then what goes back
    d.arrow(fresh, buffer)
    d.arrow(buffer, chain)
    d.arrow(chain, energy)
    d.arrow(data, energy)
    d.arrow(energy, loss)
    d.arrow(chain, buffer, dashed=True, via=((172, 205), (62, 205)))
    d.note("kept", 116, 219)
    return d


def _generator() -> Diagram:
    d = Diagram(
        "Boltzmann generator",
        "Normal noise leads through a flow to a proposal x, whose density q is known; its weight "
        "is exp of minus the known energy, divided by q.",
        heading=True,
    )
    z = d.node("noise", "$z$", 36, 70, 44)
    flow = d.node("network", "flow", 126, 70)
    x = d.node("data", "$x$", 216, 70, 44)
    energy = d.node("probability", "known $E(x)$", 266, 150)
    q = d.node("probability", "$q(x)$", 126, 150)
    weight = d.node("probability", "weight", 196, 215)
    # from noise to a proposal and its weight
    d.arrow(z, flow)
    d.arrow(flow, x)
    d.arrow(flow, q)
    d.arrow(x, energy)
    d.arrow(q, weight)
    d.arrow(energy, weight)
    return d
