"""A recurrent network along the variables: a state of fixed size remembers those before.

Graves (2013), arXiv:1308.0850, section 2; cells: Elman (1990), Cho et al. (2014), arXiv:1406.1078,
Hochreiter & Schmidhuber (1997). Needs torch only.
"""

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """Causal: (B, D) -> (B, D, out_features), row t out of the state after value t - 1.

    The input is shifted by one: a learned start stands before the first value. Beside it the cell
    sees a learned vector for each place, since the same weights serve every step.

    Parameters
    ----------
    size : int
        D, the number of variables.
    embed : nn.Module
        Values (B, D) -> (B, D, embed.dim), and of one place, as in value_embedding.py.
    out_features : int
        What the law of a variable asks for.
    width : int
        Numbers in the state.
    cell : nn.RNN, nn.GRU or nn.LSTM
    place_dim : int
        Numbers that tell the cell where it is.
    dropout : float
        Of the state where it is read, in training only.
    """

    def __init__(
        self,
        size: int,
        embed: nn.Module,
        out_features: int,
        width: int = 128,
        cell: type[nn.RNNBase] = nn.LSTM,
        place_dim: int = 8,
        dropout: float = 0.0,
    ):
        super().__init__()
        named = dict(size=size, out_features=out_features, width=width, place_dim=place_dim)
        for name, value in named.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.embed = embed
        self.start = nn.Parameter(torch.zeros(1, 1, embed.dim))
        self.place = nn.Parameter(0.5 * torch.randn(size, place_dim))
        self.cell = cell(embed.dim + place_dim, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(width + place_dim, out_features)

    def forward(self, v: Tensor) -> Tensor:
        """Values v (B, D) -> (B, D, out_features), row t from values before t."""
        h = self.embed(v)
        before = torch.cat((self.start.expand(len(h), -1, -1), h[:, :-1]), 1)  # shifted by one
        place = self.place.expand(len(h), -1, -1)
        memory, _ = self.cell(torch.cat((before, place), 2))
        return self.last(torch.cat((self.dropout(memory), place), 2))

    def step(self, t: int, v: Tensor, state: object) -> tuple[Tensor, object]:
        """Row t alone, (B, out_features), from v[:, t - 1] and the cell's state."""
        start = self.start.expand(len(v), -1, -1)
        before = start if t == 0 else self.embed(v[:, t - 1 : t], t - 1)
        place = self.place[t].expand(len(v), 1, -1)
        memory, state = self.cell(torch.cat((before, place), 2), state)
        return self.last(torch.cat((self.dropout(memory), place), 2))[:, 0], state
