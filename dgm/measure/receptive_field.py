"""What the feature at one place of an image looks at: gradients towards every input pixel.

Luo et al. (2016), Understanding the effective receptive field, arXiv:1701.04128, section 2.1.
Needs torch only.
"""

import torch
from torch import Tensor, nn


def seen_from(net: nn.Module, x: Tensor, i: int, j: int) -> Tensor:
    """How much the feature at place (i, j) moves with every input, (H, W): what it looks at.

    The size of the gradient of a random mixture of the channels of ``net(x)[:, :, i, j]`` with
    respect to x (B, C, H, W), averaged over the batch. Zero where the network cannot look.

    Raises
    ------
    ValueError
        (i, j) lies outside the image.

    Examples
    --------
    >>> conv = nn.Conv2d(2, 3, 3, padding=1)
    >>> (seen_from(conv, torch.randn(1, 2, 5, 5), 2, 2) > 0).sum()
    tensor(9)
    """
    height, width = x.shape[2:]
    if not (0 <= i < height and 0 <= j < width):
        raise ValueError(f"(i, j) must lie in the image of {height} x {width}, got ({i}, {j})")
    x = x.detach().clone().requires_grad_()
    out = net(x)[:, :, i, j]
    mix = torch.randn(out.shape[1], generator=torch.Generator().manual_seed(0)).to(out)
    (gradient,) = torch.autograd.grad((out @ mix).sum(), x)
    return gradient.abs().sum(1).mean(0)
