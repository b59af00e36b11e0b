"""A perceptron whose i-th outputs see only the inputs before i: masks on its weights.

Germain et al. (2015), arXiv:1502.03509, section 4, for the masks; Kingma et al. (2016),
arXiv:1606.04934, appendix C, for the context. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu


class _Banded(nn.Linear):
    """A linear layer from units of degree ``before`` to units of degree ``after``.

    A connection stays where ``after >= before`` (``>`` if strict); it then carries no later input.
    """

    def __init__(self, before: Tensor, after: Tensor, strict: bool = False):
        super().__init__(len(before), len(after))
        a, b = after[:, None], before[None, :]
        self.register_buffer("mask", (a > b if strict else a >= b).float(), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        return linear(h, self.weight * self.mask, self.bias)


class MaskedMLP(nn.Module):
    """(B, features) -> (B, features, n_outputs); row i is a function of inputs 0 .. i - 1 only.

    Two hidden layers of ``width`` units, and a ``context`` (B, context_dim) that everything sees.
    The last layer starts at zero.

    Raises
    ------
    ValueError
        features, n_outputs or width below 1.

    >>> MaskedMLP(4, 2, width=16)(torch.randn(3, 4)).shape
    torch.Size([3, 4, 2])
    """

    def __init__(
        self,
        features: int,
        n_outputs: int,
        width: int = 64,
        context_dim: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        for name, value in (("features", features), ("n_outputs", n_outputs), ("width", width)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.features, self.n_outputs = features, n_outputs
        inputs = torch.arange(1, features + 1)
        hidden = torch.arange(width) % features  # degree m: has seen the first m inputs
        outputs = inputs.repeat_interleave(n_outputs)
        self.first, self.second = _Banded(inputs, hidden), _Banded(hidden, hidden)
        self.last = _Banded(hidden, outputs, strict=True)
        self.context = nn.Linear(context_dim, width, bias=False) if context_dim else None
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """z (B, features), context (B, context_dim) or None -> (B, features, n_outputs)."""
        h = self.first(z)
        if self.context is not None:
            h = h + self.context(context)
        h = self.dropout(silu(self.second(silu(h))))
        return self.last(h).view(-1, self.features, self.n_outputs)
