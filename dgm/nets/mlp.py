"""Perceptrons: a plain stack, and one with residual blocks.

He et al. (2016), arXiv:1512.03385, for the residual form. Needs torch only.
"""

from torch import Tensor, nn
from torch.nn.functional import silu


def _check_sizes(dropout: float, **sizes: int) -> None:
    """Raise a ValueError that names what is no size of a network."""
    for name, size in sizes.items():
        if not hasattr(size, "__index__") or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in 0 <= dropout < 1, got {dropout}")


class MLP(nn.Sequential):
    """Linear layers with an activation between them: features in -> hidden ... -> features out.

    ``zero_last`` starts the last layer at zero, so that a coupling starts as the identity.

    >>> MLP(2, 3, hidden=(8, 8))(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        features: int,
        out_features: int,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.0,
        activation: type[nn.Module] = nn.SiLU,
        zero_last: bool = False,
    ):
        _check_sizes(dropout, features=features, out_features=out_features)
        layers, width = [], features
        for next_width in hidden:
            _check_sizes(dropout, hidden=next_width)
            layers += [nn.Linear(width, next_width), activation()]
            layers += [nn.Dropout(dropout)] if dropout else []
            width = next_width
        last = nn.Linear(width, out_features)
        if zero_last:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        super().__init__(*layers, last)


class ResidualMLP(nn.Module):
    """A linear map in, ``blocks`` residual blocks of two layers, a linear map out (zero at start).

    (B, features) -> (B, out_features)
    """

    def __init__(
        self, features: int, out_features: int, width: int, blocks: int = 2, dropout: float = 0.0
    ):
        super().__init__()
        _check_sizes(dropout, features=features, out_features=out_features, width=width)
        self.first, self.last = nn.Linear(features, width), nn.Linear(width, out_features)
        # zero at the start: a coupling then begins as the identity
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Linear(width, width),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, features) -> (B, out_features)."""
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h)
        return self.last(self.dropout(silu(h)))
