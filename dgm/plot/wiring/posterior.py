"""Chapter 6: richer posteriors, step by step, and richer priors."""

from itertools import pairwise

from dgm.plot.schematic import Diagram, Schematic, panels

_POSTERIORS = {  # name: (the step after the Gaussian draw, its log-determinant, what it says)
    "Gaussian": ("", "", "the draw of the Gaussian itself is the code"),
    "Householder": ("reflect:\n$z − 2 v (v^T z) / |v|^2$", "0", "the draw is reflected"),
    "Planar": ("push along $u$:\n$z + u$ tanh$(w^T z + b)$", "one number",
               "the draw is pushed along one direction"),
    "Sylvester": ("$M$ units at once:\n$z + Q R$ tanh$(R_2 Q^T z + b)$", "$M$ numbers",
                  "the draw is pushed by M units in an orthogonal basis"),
    "Inverse autoregressive": ("$z_i$ by $z_1, ..., z_{i−1}$:\n$s_i z_i + (1 − s_i) m_i$",
                               "$Σ$ log $s_i$", "each coordinate is mixed with a mean that the "
                               "coordinates before it give"),
}  # fmt: skip

_PRIORS = {  # name: (parts from above, what it says)
    "Normal": ([("probability", "$N(0, I)$"), ("latent", "$z$")], "one bell at zero"),
    "Mixture": ([("probability", "$Σ_k w_k N(m_k, S_k)$"), ("latent", "$z$")],
                "several bells with learned places"),
    "VampPrior": ([("data", "$u_1, ..., u_K$ learned"), ("network", "the VAE's encoder"),
                   ("probability", "$Σ_k w_k q(z | u_k)$"), ("latent", "$z$")],
                  "the posteriors of a few imaginary examples, averaged"),
    "Flow": ([("noise", "$N(0, I)$"), ("network", "couplings, inverse"), ("latent", "$z$")],
             "a normal bent by invertible layers"),
    "Autoregressive": ([("latent", "$z_1, ..., z_{i−1}$"), ("network", "masked network"),
                        ("probability", "$p(z_i | z_1, ..., z_{i−1})$"), ("latent", "$z_i$")],
                       "one coordinate after the other"),
}  # fmt: skip


def posterior_ladder() -> Schematic:
    """Five panels from the Gaussian to IAF: which step follows the draw, at what log-det."""
    return panels(*(_posterior(name) for name in _POSTERIORS))


def _posterior(name: str) -> Diagram:
    step, log_det, says = _POSTERIORS[name]
    d = Diagram(f"{name}", f"x gives mean and width of a Gaussian; {says}.", heading=True)
    parts = [
        d.node("data", "$x$", 105, 45),
        d.node("network", "encoder", 105, 97, 100),
        d.node("probability", "$N(μ(x), σ^2(x))$", 105, 149, 150),
    ]
    # the step that follows the draw
    parts.append(d.node("latent", "$z_0$" if step else "$z$", 105, 201, 44))
    if step:
        parts.append(d.node("network", step, 105, 268, 206))
        parts.append(d.node("latent", "$z$", 105, 335, 44))
        d.arrow(parts[1], parts[4], via=[(193, 97), (193, 230)], dashed=True)
        d.note(f"log det: {log_det}", 135, 335, "start")
    for a, b in pairwise(parts):
        d.arrow(a, b)
    return d


def prior_ladder() -> Schematic:
    """Five panels: normal, mixture, VampPrior, flow and autoregressive prior over the code."""
    return panels(*(_prior(name) for name in _PRIORS))


def _prior(name: str) -> Diagram:
    parts, says = _PRIORS[name]
    d = Diagram(f"{name}", f"From above, how the prior makes a code z: {says}.", heading=True)
    d.column(90, parts, step=55)
    return d
