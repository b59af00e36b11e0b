"""Householder flow: reflect a Gaussian code, a posterior with a full covariance and no volume cost.

Tomczak and Welling (2016), arXiv:1611.09630, section 3. Needs torch only.
"""

from torch import Tensor, nn


class Householder(nn.Module):
    """z -> H_T ... H_1 z with H_t = I - 2 v_t v_t^T / |v_t|^2; log det = 0.

    The first vector comes from the context, every further one is a linear map of the one before,
    at the start the identity: an even number of reflections then undo each other. Products of at
    most ``dim`` reflections are all the orthogonal matrices there are. Lengths are kept, so no
    reflection changes log N(z; 0, I): the KL to a standard normal prior stays that of the Gaussian
    the flow starts from.

    Parameters
    ----------
    net : nn.Module
        Maps the context (B, C) to (B, dim), the first vector.
    dim : int
        Size of z.
    n_reflections : int
        T.

    Raises
    ------
    ValueError
        dim or n_reflections below 1.

    Examples
    --------
    >>> import torch
    >>> z, log_det = Householder(nn.Linear(3, 2), 2)(torch.ones(5, 2), torch.randn(5, 3))
    >>> z.square().sum(1)
    tensor([2.0000, 2.0000, 2.0000, 2.0000, 2.0000], grad_fn=<SumBackward1>)
    """

    def __init__(self, net: nn.Module, dim: int, n_reflections: int = 1):
        super().__init__()
        for name, value in (("dim", dim), ("n_reflections", n_reflections)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.net = net
        self.links = nn.ModuleList(nn.Linear(dim, dim) for _ in range(n_reflections - 1))
        for link in self.links:
            nn.init.eye_(link.weight)
            nn.init.zeros_(link.bias)

    def vectors(self, context: Tensor) -> list[Tensor]:
        """Context (B, C) -> the T unit vectors (B, dim), in the order in which they reflect."""
        found = [self.net(context)]
        for link in self.links:
            found.append(link(found[-1]))
        return [v / v.norm(dim=1, keepdim=True).clamp_min(1e-12) for v in found]

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, dim), context (B, C) -> the reflected z (B, dim) and log det = 0 (B,)."""
        for v in self.vectors(context):
            z = z - 2 * v * (v * z).sum(1, keepdim=True)
        return z, z.new_zeros(len(z))

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo `forward`: every reflection is its own inverse."""
        for v in reversed(self.vectors(context)):
            z = z - 2 * v * (v * z).sum(1, keepdim=True)
        return z
