"""What a prediction depends on: gradients of every prediction towards every input of a sequence.

The Jacobian test of causality, on trained weights: Germain et al. (2015), arXiv:1502.03509,
section 3, asks for it of a masked network. Needs torch only.
"""

import torch
from torch import Tensor, nn


def influence(model: nn.Module, x: Tensor, seed: int = 0) -> Tensor:
    """Mean length of the gradient of what predicts token t towards input s, (T, T).

    ``model`` maps tokens x (B, ...) to logits (B, ..., levels) and embeds its inputs, already
    shifted by one, through ``model.embedding``: input s holds token s - 1, so a causal model has
    zeros above the diagonal. The logits of a token are added up with random signs and sizes.
    """
    embedded: list[Tensor] = []
    hook = model.embedding.register_forward_hook(lambda module, given, out: embedded.append(out))
    logits = model(x).flatten(1, -2)  # (B, T, levels)
    hook.remove()
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(logits.shape[-1], generator=generator).to(logits)
    total = (logits @ direction).sum(0)  # (T,)
    rows = [torch.autograd.grad(value, embedded, retain_graph=True)[0] for value in total]
    return torch.stack(rows).norm(dim=-1).mean(1)
