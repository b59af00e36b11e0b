"""A bell on the rotations of space as posterior: a Gaussian of the Lie algebra, round SO(3).

Falorsi, de Haan, Davidson and Forre (2019), arXiv:1903.02958, section 4; six numbers for a mean:
Zhou et al. (2019), arXiv:1812.07035, section 4. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

WRAPS = 4  # times round, each way, that the density is summed over


def hat(v: Tensor) -> Tensor:
    """v (..., 3) -> the skew matrix (..., 3, 3) with hat(v) w = v x w."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3))


def rotation_exp(v: Tensor) -> Tensor:
    """v (..., 3) -> the rotation (..., 3, 3) about v by |v| radians: Rodrigues' formula.

    I + (sin t / t) X + 2 (sin(t/2) / t)^2 X^2 with X = hat(v); as sinc neither is 0 / 0 at t = 0.
    """
    t = v.norm(dim=-1)[..., None, None]
    x = hat(v)
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    return (
        eye + torch.sinc(t / math.pi) * x + 0.5 * torch.sinc(t / (2 * math.pi)).square() * (x @ x)
    )


def rotation_log(r: Tensor) -> Tensor:
    """Rotations (..., 3, 3) -> v (..., 3) with |v| <= pi, right to rounding near 0 and near pi too.

    By the unit quaternion; of its four formulas the one whose square root is largest (Shepperd
    1978).
    """
    a, b, c = r.diagonal(dim1=-2, dim2=-1).unbind(-1)
    # four times the quaternion (w, x, y, z) times each of its numbers
    w2, x2, y2, z2 = 1 + a + b + c, 1 + a - b - c, 1 - a + b - c, 1 - a - b + c
    wx, wy, wz = (r[..., i, j] - r[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    xy, xz, yz = (r[..., i, j] + r[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    rows = ((w2, wx, wy, wz), (wx, x2, xy, xz), (wy, xy, y2, yz), (wz, xz, yz, z2))
    table = torch.stack([torch.stack(row, -1) for row in rows], -2)
    best = table.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    q = normalize(table.gather(-2, best.expand(*best.shape[:-1], 4))[..., 0, :], dim=-1)
    q = torch.where(q[..., :1] < 0, -q, q)
    # the half angle by its sine and its cosine; where it is 0 the formula 2 / w
    sine = q[..., 1:].square().sum(-1, keepdim=True)
    still = sine < 1e-24
    size = torch.where(still, torch.ones_like(sine), sine).sqrt()
    scale = 2 * torch.atan2(size, q[..., :1]) / size
    return torch.where(still, 2.0, scale) * q[..., 1:]


def gram_schmidt(six: Tensor) -> Tensor:
    """Six numbers (..., 6) -> the rotation (..., 3, 3) whose first columns they span, continuous.

    Three or four numbers cannot: no map from rotations to them is continuous and one to one.
    """
    a, b = six.split(3, dim=-1)
    first = normalize(a, dim=-1)
    second = normalize(b - (first * b).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack((first, second, torch.linalg.cross(first, second)), -1)


class WrappedRotation:
    """q(R): R = mean exp(hat(v)), v from N(0, diag stddev^2) in the algebra, for R (B, 3, 3).

    The density is with respect to the Haar measure of volume 8 pi^2. It is nearest to uniform at a
    stddev of about 1.5; much wider, all angles become alike. Own methods: ``algebra``.

    Parameters
    ----------
    mean : Tensor
        (B, 3, 3), rotations.
    stddev : Tensor
        (B, 3), above 0, radians.

    Raises
    ------
    ValueError
        Wrong shapes, or a stddev that is not positive and finite.

    Examples
    --------
    >>> q = WrappedRotation(torch.eye(3)[None], torch.full((1, 3), 1.5))
    >>> q.log_prob(rotation_exp(torch.tensor([[1.0, 0.5, -0.5]])))  # uniform: -4.3688
    tensor([-4.1021])
    """

    def __init__(self, mean: Tensor, stddev: Tensor):
        if mean.ndim != 3 or mean.shape[1:] != (3, 3) or stddev.shape != mean.shape[:2]:
            said = f"{tuple(mean.shape)} and {tuple(stddev.shape)}"
            raise ValueError(f"mean must be (B, 3, 3) and stddev (B, 3); got {said}")
        if not ((stddev > 0) & stddev.isfinite()).all():
            raise ValueError("stddev must be positive and finite")
        self.mean, self.stddev = mean, stddev

    def rsample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Tensor:
        """R (*sample_shape, B, 3, 3), with a gradient in mean and stddev."""
        size = (*sample_shape, *self.stddev.shape)
        eps = self.stddev.new_empty(size).normal_(generator=generator)
        return self.mean @ rotation_exp(self.stddev * eps)

    def algebra(self, r: Tensor) -> Tensor:
        """The shortest v (..., B, 3) with R = mean exp(hat(v))."""
        return rotation_log(self.mean.mT @ r)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) (..., B), nats per Haar volume, of rotations z (..., B, 3, 3).

        All v that lead to one rotation count: v (1 + 2 pi k / |v|), k = ..., -1, 0, 1, ...; each
        volume element of the algebra shrinks by (2 sin(|v_k| / 2) / |v_k|)^2 on the way.
        """
        v = self.algebra(z)
        t = v.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()  # (..., B, 1)
        turns = torch.arange(-WRAPS, WRAPS + 1, device=v.device, dtype=v.dtype)
        size = t + 2 * math.pi * turns  # |v_k| with its sign, (..., B, 2 WRAPS + 1)
        across = (v / t / self.stddev).square().sum(-1, keepdim=True)
        log_normal = -0.5 * size.square() * across - self.stddev.log().sum(-1, keepdim=True)
        log_shrink = 2 * torch.log(2 * torch.sin(t / 2)) - 2 * size.abs().clamp_min(1e-12).log()
        return (log_normal - log_shrink).logsumexp(-1) - 1.5 * math.log(2 * math.pi)


class WrappedRotationEncoder(nn.Module):
    """u -> q(R|x), a `WrappedRotation`.

    Parameters
    ----------
    net : nn.Module
        Maps u (B, ...) to (B, 9): six numbers for the mean, three log standard deviations.
    most : float
        Largest stddev, radians: it is most * sigmoid.

    Examples
    --------
    >>> q = WrappedRotationEncoder(nn.Linear(5, 9))(torch.randn(7, 5))
    >>> r = q.rsample()
    >>> r.shape, q.log_prob(r).shape
    (torch.Size([7, 3, 3]), torch.Size([7]))
    """

    def __init__(self, net: nn.Module, most: float = 1.5):
        super().__init__()
        if not 0 < most < math.inf:
            raise ValueError(f"most must be above 0 and finite, got {most}")
        self.net, self.most = net, most

    def forward(self, u: Tensor) -> WrappedRotation:
        """Scaled data u (B, ...) -> q(R|x) over (B, 3, 3)."""
        out = self.net(u)
        if out.shape != (len(u), 9):
            raise ValueError(f"net must give shape {(len(u), 9)}, got {tuple(out.shape)}")
        start = out.new_tensor([1e-6, 0, 0, 0, 1e-6, 0])  # the identity for six zeros
        stddev = 1e-3 + self.most * torch.sigmoid(out[:, 6:] - 2)  # narrow at the start
        return WrappedRotation(gram_schmidt(out[:, :6] + start), stddev)
