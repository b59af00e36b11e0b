"""What a prediction depends on: gradients of every prediction towards every input of a sequence.

The Jacobian test of causality, on trained weights: Germain et al. (2015), arXiv:1502.03509,
section 3, asks for it of a masked network. Needs torch only.
"""

import torch
from torch import Tensor, nn


def influence(model: nn.Module, x: Tensor, seed: int = 0) -> Tensor:
    """Mean length of the gradient of what predicts value t towards input s, (T, T).

    ``model`` maps values x (B, ...) to log masses (B, ..., levels), and its network embeds them
    through ``model.net.embed``. Input s is the s-th vector embedded: the start symbol and token
    s - 1 for tokens, so that a causal model has zeros above the diagonal; value s for networks
    over variables, zeros on the diagonal as well. The log masses of a value are added up with
    random signs and sizes.
    """
    embedded: list[Tensor] = []
    hook = model.net.embed.register_forward_hook(lambda module, given, out: embedded.append(out))
    log_p = model(x).flatten(1, -2)  # (B, T, levels)
    hook.remove()
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(log_p.shape[-1], generator=generator).to(log_p)
    total = (log_p @ direction).sum(0)  # (T,)
    rows = [torch.autograd.grad(value, embedded, retain_graph=True)[0] for value in total]
    return torch.stack(rows).norm(dim=-1).mean(1)
