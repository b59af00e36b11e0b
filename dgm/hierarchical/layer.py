"""One layer of a hierarchical VAE: its prior, its posterior, what it leaves above and below it.

Layers drawn on the way up: Rezende et al. (2014), arXiv:1401.4082; on the way down: Sonderby et al.
(2016), arXiv:1602.02282, and Kingma et al. (2016), arXiv:1606.04934; both in one layer: Maaloe et
al. (2019), arXiv:1902.02102, section 2. Needs torch only.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Inferred(NamedTuple):
    """A draw of one layer from its posterior, and what it costs."""

    z: Tensor  # (B, C, ...)
    kl: Tensor  # (B,) nats, in closed form for what is drawn on the way down
    log_ratio: Tensor  # (B,) nats: log q(z) - log p(z) at the draw


class Layer(nn.Module):
    """A layer z with the state h above it and the features d of x below it.

    Parameters
    ----------
    read : nn.Module
        The step of the upward pass that ends at this layer: features below -> d.
    prior : nn.Module
        ``prior(h)`` is the law of all of z (layer_gaussian.py): ``draw(temperature, generator)``,
        ``log_prob(z)``, ``kl(other)``, ``split(n)``.
    update : nn.Module
        ``update(h, z)`` is the state below (state.py).
    posterior : nn.Module or None
        ``posterior(h, d, prior)`` (inference.py) infers z on the way down. None: all of z is drawn
        on the way up.
    rising : nn.Module or None
        ``rising(d)`` is the law of the first channels of z, drawn on the way up. None: none are.
    absorb : nn.Module or None
        ``absorb(d, z)`` are the features with what was drawn on the way up, for the layers above.

    Raises
    ------
    ValueError
        A layer that is inferred neither on the way up nor on the way down, or that rises and is
        not absorbed.

    Notes
    -----
    The KL of what is drawn on the way *up* is taken at the draw, log q - log p. Its closed form
    would be wrong there: the prior's mean depends on layers above, which were drawn given this z.
    """

    def __init__(
        self,
        read: nn.Module,
        prior: nn.Module,
        update: nn.Module,
        posterior: nn.Module | None = None,
        rising: nn.Module | None = None,
        absorb: nn.Module | None = None,
    ):
        super().__init__()
        if posterior is None and rising is None:
            raise ValueError("posterior and rising are both None: nothing infers this layer")
        if (rising is None) != (absorb is None):
            raise ValueError("rising and absorb come together: what is drawn is handed upwards")
        self.read, self.prior, self.update = read, prior, update
        self.posterior, self.rising, self.absorb = posterior, rising, absorb

    def rise(self, below: Tensor) -> tuple[Tensor, Tensor, tuple[object, Tensor] | None]:
        """Features below -> d, the features handed upwards, and (q, z) of what was drawn."""
        d = self.read(below)
        if self.rising is None:
            return d, d, None
        q = self.rising(d)
        z = q.draw()
        return d, self.absorb(d, z), (q, z)

    def infer(self, h: Tensor, d: Tensor, drawn: tuple[object, Tensor] | None) -> Inferred:
        """One draw of z from its posterior, given the state, the features and what rose."""
        p = self.prior(h)
        if drawn is None:
            q = self.posterior(h, d, p)
            z = q.draw()
            return Inferred(z, q.kl(p), q.log_prob(z) - p.log_prob(z))
        # the part that was drawn on the way up
        q_up, z_up = drawn
        p_up, p_down = p.split(z_up.shape[1])
        ratio = q_up.log_prob(z_up) - p_up.log_prob(z_up)
        if self.posterior is None:
            return Inferred(z_up, ratio, ratio)
        # the part that is drawn now
        q = self.posterior(h, d, p_down)
        z = q.draw()
        log_ratio = ratio + q.log_prob(z) - p_down.log_prob(z)
        return Inferred(torch.cat((z_up, z), 1), ratio + q.kl(p_down), log_ratio)
