"""A recurrent network along the variables: a state of fixed size remembers those before.

Graves (2013), arXiv:1308.0850, section 2; cells: Elman (1990), Cho et al. (2014), arXiv:1406.1078,
Hochreiter & Schmidhuber (1997). Needs torch only.
"""

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """Causal: (B, D, in_features) -> (B, D, out_features), row t out of the state after row t - 1.

    The input is shifted by one: a learned start stands before the first row. Beside it the cell
    sees a learned vector for each place, since the same weights serve every step.

    Parameters
    ----------
    cell : nn.RNN, nn.GRU or nn.LSTM
    place_dim : numbers that tell the cell where it is.
    """

    def __init__(
        self,
        size: int,
        in_features: int,
        out_features: int,
        width: int = 128,
        cell: type[nn.RNNBase] = nn.LSTM,
        place_dim: int = 8,
        dropout: float = 0.0,
    ):
        super().__init__()
        named = dict(size=size, in_features=in_features, out_features=out_features, width=width)
        for name, value in (named | dict(place_dim=place_dim)).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.start = nn.Parameter(torch.zeros(1, 1, in_features))
        self.place = nn.Parameter(0.5 * torch.randn(size, place_dim))
        self.cell = cell(in_features + place_dim, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(width + place_dim, out_features)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, D, in_features) -> (B, D, out_features), row t from rows before t."""
        before = torch.cat((self.start.expand(len(h), -1, -1), h[:, :-1]), 1)  # shifted by one
        place = self.place.expand(len(h), -1, -1)
        memory, _ = self.cell(torch.cat((before, place), 2))
        return self.last(torch.cat((self.dropout(memory), place), 2))

    def step(self, t: int, h: Tensor, state: object) -> tuple[Tensor, object]:
        """Row t alone, (B, out_features), from row t - 1 of the input and the cell's state.

        At t = 0 there is no row before: h (B, in_features) then only says how many.
        """
        before = self.start[0].expand(len(h), -1) if t == 0 else h
        place = self.place[t].expand(len(h), -1)
        memory, state = self.cell(torch.cat((before, place), 1)[:, None], state)
        return self.last(torch.cat((self.dropout(memory[:, 0]), place), 1)), state
