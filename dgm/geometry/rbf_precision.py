"""A decoder that knows where it knows nothing: precisions that fall to a floor away from the data.

Arvanitidis, Hansen and Hauberg (2018), arXiv:1710.11379, section 4, eq. 11. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class RBFSpread(nn.Module):
    """z -> shift and log scale of D Gaussians: the shift by a network, the scale by bells.

    1 / scale^2 = sum_k w_k exp(-|z - c_k|^2 / (2 r_k^2)) + floor, with w_k >= 0 for each of the D
    numbers: where no bell is near, the scale is 1 / sqrt(floor). Own methods: ``place``.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to D shifts.
    latent_dim, out_features, n_centers : int
        d, D and K.
    floor : float
        Least precision, above 0.

    Examples
    --------
    >>> net = RBFSpread(nn.Linear(2, 5), 2, 5, n_centers=7)
    >>> net(torch.zeros(3, 2)).shape
    torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        net: nn.Module,
        latent_dim: int,
        out_features: int,
        n_centers: int = 64,
        floor: float = 0.05,
    ):
        super().__init__()
        if n_centers < 1 or not 0 < floor < float("inf"):
            raise ValueError(f"n_centers must be >= 1 and floor > 0, got {n_centers} and {floor}")
        self.net, self.floor = net, floor
        self.raw = nn.Parameter(torch.full((n_centers, out_features), -2.0))
        self.register_buffer("centers", torch.randn(n_centers, latent_dim))
        self.register_buffer(
            "radius", torch.full((n_centers,), 20.0)
        )  # alike everywhere, till placed

    @torch.no_grad()
    def place(self, codes: Tensor, stretch: float = 1.5, steps: int = 20) -> None:
        """Centres by k-means on codes (N, d); radii: ``stretch`` mean distances of their codes.

        Raises
        ------
        ValueError
            Fewer codes than centres.
        """
        k = len(self.centers)
        if codes.ndim != 2 or len(codes) < k:
            raise ValueError(f"codes must be (N, d), N >= {k}, got {tuple(codes.shape)}")
        # centres, spread out at first: each the code farthest from those before it
        picks = [0]
        far = (codes - codes[0]).norm(dim=1)
        for _ in range(k - 1):
            picks.append(int(far.argmax()))
            far = torch.minimum(far, (codes - codes[picks[-1]]).norm(dim=1))
        centers = codes[picks].clone()
        for _ in range(steps):
            own = torch.cdist(codes, centers).argmin(1)
            for j in own.unique().tolist():
                centers[j] = codes[own == j].mean(0)
        # radii; a bell of few codes gets at least half the mean one
        away, own = torch.cdist(codes, centers).min(1)
        sums = torch.zeros(k).to(away).index_add(0, own, away)
        count = torch.bincount(own, minlength=k).clamp_min(1)
        self.centers.copy_(centers)
        self.radius.copy_(stretch * torch.maximum(sums / count, 0.5 * away.mean()))

    def precision(self, z: Tensor) -> Tensor:
        """1 / scale^2 (B, D) at codes z (B, d)."""
        square = (z[:, None] - self.centers).square().sum(-1)  # (B, K)
        return torch.exp(-0.5 * square / self.radius.square()) @ softplus(self.raw) + self.floor

    def forward(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B, D, 2): shifts, log scales."""
        shift = self.net(z).flatten(1)
        return torch.stack((shift, -0.5 * self.precision(z).log()), -1)
