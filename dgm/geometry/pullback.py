"""The metric that a decoder puts on its latent space: how far a picture moves when its code does.

Arvanitidis, Hansen and Hauberg (2018), arXiv:1710.11379, eqs. 3 and 8; a metric on the side of the
pictures: Arvanitidis, Hauberg and Schoelkopf (2021), arXiv:2008.00565, section 3. Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp


class PullbackMetric:
    """M(z) = J^T G J with the Jacobian J of ``surface`` at z, and G a diagonal weight or I.

    Parameters
    ----------
    surface : callable
        Codes z (B, d) -> (B, F), smooth: what a decoder says. With its means and its standard
        deviations side by side, M is the expected metric of a draw, J_mu^T J_mu + J_sigma^T
        J_sigma.
    ambient : callable, optional
        Points of the surface (B, F) -> positive weights (B, F) or (B, 1): how much a step there
        costs; None: 1.

    Examples
    --------
    >>> twice = PullbackMetric(lambda z: 2 * z)
    >>> twice.matrix(torch.zeros(1, 2))
    tensor([[[4., 0.],
             [0., 4.]]])
    """

    def __init__(
        self,
        surface: Callable[[Tensor], Tensor],
        ambient: Callable[[Tensor], Tensor] | None = None,
    ):
        self.surface, self.ambient = surface, ambient

    def _columns(self, z: Tensor) -> Tensor:
        """sqrt(G) J, one forward pass a column, (B, F, d)."""
        steps = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        pushed = [jvp(self.surface, (z,), (step.expand_as(z),)) for step in steps]
        columns = torch.stack([column for _, column in pushed], -1)
        if self.ambient is None:
            return columns
        return self.ambient(pushed[0][0]).sqrt()[..., None] * columns

    def matrix(self, z: Tensor) -> Tensor:
        """M (B, d, d) at codes z (B, d), symmetric and not negative."""
        self._check(z)
        columns = self._columns(z)
        return columns.mT @ columns

    def log_volume(self, z: Tensor) -> Tensor:
        """log sqrt(det M) (B,): by how much the decoder magnifies a piece of the latent space."""
        self._check(z)
        return torch.linalg.svdvals(self._columns(z)).clamp_min(1e-30).log().sum(-1)

    def squared_speed(self, z: Tensor, step: Tensor) -> Tensor:
        """step^T M step (B,) of steps (B, d) at codes z (B, d), by one forward pass."""
        self._check(z)
        place, moved = jvp(self.surface, (z,), (step,))
        weight = 1.0 if self.ambient is None else self.ambient(place)
        return (weight * moved.square()).sum(-1)

    @staticmethod
    def _check(z: Tensor) -> None:
        if z.ndim != 2 or z.shape[1] < 1:
            raise ValueError(f"z must be codes (B, d), got shape {tuple(z.shape)}")
