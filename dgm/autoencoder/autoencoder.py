"""An autoencoder: a network to a code and a network back, trained to give back its input.

Bourlard & Kamp (1988), doi:10.1007/BF00332918; Hinton & Salakhutdinov (2006), Science 313,
doi:10.1126/science.1127647, whose narrow code is the bottleneck. Needs torch only.
"""

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """r(x) = decoder(encoder(x)), trained by the squared error.

    With a code narrower than the data it is a bottleneck; with one as wide or wider nothing in
    the loss keeps it from learning to copy. It has no probability: no ``log_prob``, no ``sample``.

    Parameters
    ----------
    encoder, decoder : nn.Module
        Rows (B, D) to codes (B, d), and back.
    scaling : nn.Module
        Data as stored to rows (B, D), with ``inverse``: `UnitPixels` or `RealRows`.

    Examples
    --------
    >>> rows = nn.Identity()
    >>> rows.inverse = lambda h: h
    >>> model = Autoencoder(nn.Linear(4, 2), nn.Linear(2, 4), rows)
    >>> x = torch.randn(5, 4)
    >>> model.encode(x).shape, model(x).shape, model.loss(x).shape
    (torch.Size([5, 2]), torch.Size([5, 4]), torch.Size([5]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, scaling: nn.Module):
        super().__init__()
        self.encoder, self.decoder, self.scaling = encoder, decoder, scaling

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, ...) -> code (B, d)."""
        return self.encoder(self.scaling(x))

    def decode(self, z: Tensor) -> Tensor:
        """Code (B, d) -> (B, ...) floats on the scale of the data."""
        return self.scaling.inverse(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, ...), floats on the scale of the data."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows, summed over D, (B,). It has no unit of nats."""
        rows = self.scaling(x)  # (B, D)
        return (self.decoder(self.encoder(rows)) - rows).square().sum(1)
