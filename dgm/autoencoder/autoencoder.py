"""An autoencoder: a network to a code and a network back, trained to give back its input.

Bourlard & Kamp (1988), doi:10.1007/BF00332918; Hinton & Salakhutdinov (2006), Science 313,
doi:10.1126/science.1127647, whose narrow code is the bottleneck. Needs torch only.
"""

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """r(x) = decoder(encoder(x)), trained by the squared error.

    With a code narrower than the data it is a bottleneck; with one as wide or wider nothing in
    the loss keeps it from learning to copy. It has no probability: no ``log_prob``, no ``sample``.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x, 0, 1)``, ``unscaled(rows, 0, 1)``, ``shape``,
        ``finite(z)``. Pixels go to 0..1, so that a loss is in units of the full grey range.
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.

    Notes
    -----
    Own methods: ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> pixels = Levels((1, 2, 2), 17)
    >>> model = Autoencoder(pixels, nn.Linear(4, 2), nn.Linear(2, 4))
    >>> x = torch.randint(17, (5, 1, 2, 2))
    >>> model.encode(x).shape, model(x).shape, model.loss(x).shape
    (torch.Size([5, 2]), torch.Size([5, 1, 2, 2]), torch.Size([5]))
    """

    def __init__(self, data: object, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.data, self.encoder, self.decoder = data, encoder, decoder

    def _rows(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> rows (B, D), pixels in 0..1."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.data.rows(x, dtype, trusted=self.training)

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> code (B, d)."""
        return self.encoder(self._rows(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, *shape) floats on the scale of the data."""
        rows = self.decoder(self.data.finite(z)).unflatten(1, self.data.shape)
        return self.data.unscaled(rows, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, *shape), floats on the scale of the data."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows, summed over D, (B,). It has no unit of nats."""
        rows = self._rows(x)  # (B, D)
        return (self.decoder(self.encoder(rows)) - rows).square().sum(1)
