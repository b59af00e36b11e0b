"""A masked-prediction learner: patches are hidden, a code of the rest has to say what was there.

Denoising by masking: Vincent et al. (2008), doi:10.1145/1390156.1390294; He et al. (2022), Masked
autoencoders, arXiv:2111.06377, section 3; with a law of levels for every hidden pixel, as in
Devlin et al. (2019), arXiv:1810.04805, section 3.1. No density. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class MaskedPrediction(nn.Module):
    """Codes of what is seen of a picture, good for what is not.

    Own methods: ``encode``, the code of the whole picture; ``hidden``, which pixels are left out;
    ``predict``. The hidden pixels are predicted each for itself, so the loss is no density.

    Parameters
    ----------
    data : what x is, integer pictures: ``shape``, ``levels``, ``dims``, ``check``, ``scaled``.
    encoder : nn.Module
        (B, 2 C, H, W), the scaled picture with zeros where it is hidden, and 1 where it is seen,
        to a code (B, F).
    decoder : nn.Module
        Codes to logits (B, levels * C * H * W).
    patch : int
        Side of the squares that are hidden together; it divides both sides.
    share : float
        Of the squares that are hidden, above 0 and below 1; at least one is and one is not.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(2 * 16, 5))
    >>> model = MaskedPrediction(Levels((1, 4, 4), 3), encoder, nn.Linear(5, 3 * 16))
    >>> x = torch.randint(3, (6, 1, 4, 4))
    >>> model.encode(x).shape, model.loss(x).shape
    (torch.Size([6, 5]), torch.Size([6]))
    """

    def __init__(
        self, data: object, encoder: nn.Module, decoder: nn.Module, patch: int = 2,
        share: float = 0.5,
    ):  # fmt: skip
        super().__init__()
        sides = data.shape[1:]
        if patch < 1 or len(sides) != 2 or any(side % patch for side in sides):
            raise ValueError(f"patch must divide the sides of pictures {sides}, got {patch!r}")
        squares = (sides[0] // patch) * (sides[1] // patch)
        if squares < 2:
            raise ValueError(f"data must be pictures of two squares at least, got {data.shape}")
        if not 0 < share < 1:
            raise ValueError(f"share must lie in 0 .. 1, ends left out, got {share!r}")
        self.data, self.encoder, self.decoder = data, encoder, decoder
        self.patch, self.n_hidden = patch, min(max(1, round(share * squares)), squares - 1)

    def _checked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Levels x as int64, and the same scaled to -1 .. 1."""
        x = self.data.check(x, trusted=self.training)
        return x, self.data.scaled(x, dtype=next(self.parameters()).dtype)

    def hidden(self, n: int, device: torch.device | None = None) -> Tensor:
        """Which pixels are left out, (n, 1, H, W) bool: the same number of squares in each."""
        high, wide = (side // self.patch for side in self.data.shape[1:])
        order = torch.rand(n, high * wide).argsort(1).to(device)
        squares = (order < self.n_hidden).view(n, 1, high, wide)
        return squares.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)

    def _seen(self, u: Tensor, hidden: Tensor) -> Tensor:
        """What the encoder sees of scaled pictures u: (B, 2 C, H, W)."""
        seen = (~hidden).to(u).expand_as(u)
        return torch.cat((u * seen, seen), 1)

    def encode(self, x: Tensor) -> Tensor:
        """The code (B, F) of x (B, C, H, W) as stored, nothing hidden."""
        u = self._checked(x)[1]
        nothing = torch.zeros(len(u), 1, *u.shape[2:], dtype=torch.bool, device=u.device)
        return self.encoder(self._seen(u, nothing))

    def forward(self, x: Tensor) -> Tensor:
        """The same as `encode`."""
        return self.encode(x)

    def predict(self, u: Tensor, hidden: Tensor) -> Tensor:
        """Logits (B, levels, C, H, W) of all pixels of scaled u, of which ``hidden`` are unseen."""
        code = self.encoder(self._seen(u, hidden))
        return self.decoder(code).view(len(u), self.data.levels, *self.data.shape)

    def loss(self, x: Tensor) -> Tensor:
        """Mean nats of a hidden pixel, times the pixels of a picture, (B,): on a scale with nats
        of pictures, and no bound on them."""
        x, u = self._checked(x)
        hidden = self.hidden(len(x), x.device)
        nats = cross_entropy(self.predict(u, hidden), x, reduction="none")  # (B, C, H, W)
        hidden = hidden.expand_as(nats)
        share = hidden.flatten(1).sum(1)
        return (nats * hidden).flatten(1).sum(1) / share * self.data.dims
