"""Tokens into a causal network: a shift by one, a start symbol, and a head that gives logits.

A learned vector for every token: Bengio et al. (2003), A Neural Probabilistic Language Model,
JMLR 3, section 2. Pixels as tokens: Chen et al. (2020), iGPT, section 2. Needs torch only.
"""

import torch
from torch import Tensor, nn


class TokenNet(nn.Module):
    """Causal: tokens (B, T) -> logits (B, T, levels), row t from tokens before t.

    Position t of the backbone's input holds token t - 1, and position 0 the start symbol: the
    shift keeps a token from being predicted out of itself, and the symbol is what the first one is
    predicted from. The head begins at zero, so an untrained model of levels scores T log(levels)
    nats exactly.

    Parameters
    ----------
    backbone : nn.Module
        Map (B, T, width) -> (B, T, width): position t may use positions 0 .. t. It has the
        attribute ``width``, and ``step(h, state) -> (out, state)`` for one position (B, width),
        ``state`` being None at first: wavenet.py, lstm.py, transformer.py.
    levels : int
        Values a token can take.
    size : int
        T, the number of tokens.
    places : bool
        Learn what is special about every position (for images); else the network is the same at
        every length.
    dropout : float
        On the embedded input and on the last features, in training only.

    Examples
    --------
    >>> from dgm.nets.lstm import RecurrentBackbone
    >>> net = TokenNet(RecurrentBackbone(width=8), levels=3, size=5)
    >>> net(torch.tensor([[0, 1, 2, 1, 0]])).shape
    torch.Size([1, 5, 3])
    """

    def __init__(
        self,
        backbone: nn.Module,
        levels: int,
        size: int,
        places: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        if levels < 2 or size < 1:
            raise ValueError(f"levels >= 2 and size >= 1 needed, got {levels} and {size}")
        self.backbone, self.levels = backbone, levels
        self.embed = nn.Embedding(levels + 1, backbone.width)  # the last row is the start
        self.places = nn.Embedding(size, backbone.width) if places else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.width, levels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Tokens v (B, T) -> logits (B, T, levels) of each, given those before it."""
        start = v.new_full((len(v), 1), self.levels)
        h = self.embed(torch.cat((start, v[:, :-1]), 1))  # (B, T, width): shifted by one
        if self.places is not None:
            h = h + self.places.weight
        return self.head(self.dropout(self.backbone(self.dropout(h))))

    def step(self, t: int, v: Tensor, state: object) -> tuple[Tensor, object]:
        """Logits (B, levels) of token t given the one before it and the backbone's state."""
        before = v[:, t - 1] if t else v.new_full((len(v),), self.levels)
        h = self.embed(before)
        if self.places is not None:
            h = h + self.places.weight[t]
        h, state = self.backbone.step(self.dropout(h), state)
        return self.head(self.dropout(h)), state
