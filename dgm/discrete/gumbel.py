"""Draws of a categorical law that can be differentiated: a softmax at a temperature, with noise.

Jang, Gu and Poole (2017), arXiv:1611.01144, eqs. 1-2 and section 2.2 (straight through); Maddison,
Mnih and Teh (2017), arXiv:1611.00712, section 3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class GumbelSoftmax(nn.Module):
    """softmax((logits + g) / temperature), g Gumbel noise: near a one-hot draw when it is cold.

    argmax(logits + g) is an exact draw of the categorical law; the softmax softens it, so that the
    gradient reaches the logits. Warm draws lie inside the simplex, where no code is.

    Parameters
    ----------
    temperature : float
        Above 0. Colder: less bias, more variance.
    hard : bool
        Hand on the one-hot argmax, with the gradient of the soft draw (straight through).

    Raises
    ------
    ValueError
        The temperature is not finite and above 0.

    Examples
    --------
    >>> z = GumbelSoftmax(temperature=0.5)(torch.zeros(2, 3, 4))  # 2 x 3 variables of 4 values
    >>> z.shape, bool((z.sum(-1) - 1).abs().max() < 1e-6)
    (torch.Size([2, 3, 4]), True)
    """

    def __init__(self, temperature: float = 1.0, hard: bool = False):
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be finite and above 0, got {temperature}")
        self.temperature, self.hard = temperature, hard

    def forward(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """logits (..., K) -> one draw (..., K), each row a point of the simplex."""
        waits = torch.empty_like(logits).exponential_(generator=generator)
        noise = -waits.clamp(min=torch.finfo(waits.dtype).tiny).log()  # Gumbel: -log of Exp(1)
        soft = ((logits + noise) / self.temperature).softmax(-1)
        if not self.hard:
            return soft
        first = one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
        return first + soft - soft.detach()
