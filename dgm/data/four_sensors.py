"""A hidden point of the plane, four sensors, one reading each: posteriors that can be seen.

The true posteriors are a tilted Gaussian, a ring, a ribbon and two blobs, all by Bayes' rule on a
grid; such targets test flows since Rezende and Mohamed (2015), arXiv:1505.05770, table 1.
Needs torch only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def square_grid(reach: float, n: int = 300) -> tuple[Tensor, float]:
    """Midpoints (n * n, 2) of the cells of a square of half a side ``reach``; log area of one."""
    t = (torch.arange(n) + 0.5) / n * 2 * reach - reach
    return torch.cartesian_prod(t, t), 2 * math.log(2 * reach / n)


class FourSensors:
    """p(z) = N(0, I) in the plane; sensor k reads f_k(z) plus Gaussian noise.

    ``sum`` reads z_1 + z_2, ``radius`` |z|, ``wave`` z_2 - 1.2 sin 2 z_1, ``size`` |z_1|.
    ``evidence`` (4,) is log p(reading of sensor k), exact up to the grid (1e-4 nats).
    """

    names = ("sum", "radius", "wave", "size")
    readings = (1.5, 1.5, 0.0, 1.2)
    noise = (0.3, 0.15, 0.2, 0.3)

    def __init__(self):
        points, log_area = square_grid(6.0, 400)
        self.evidence = torch.stack(
            [
                self.log_joint(points, torch.full((len(points),), k)).logsumexp(0) + log_area
                for k in range(4)
            ]
        )

    def log_joint(self, z: Tensor, k: Tensor) -> Tensor:
        """log p(z) + log p(reading of sensor k | z), (B,) nats, for z (B, 2) and k (B,)."""
        across, up = z.unbind(1)
        read = (across + up, z.norm(dim=1), up - 1.2 * torch.sin(2 * across), across.abs())
        x, s = z.new_tensor(self.readings), z.new_tensor(self.noise)
        off = (torch.stack(read, 1) - x) / s  # (B, 4)
        log_p = -0.5 * off.square() - (s * math.sqrt(2 * math.pi)).log()
        prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
        return prior + log_p.gather(1, k[:, None])[:, 0]

    def log_posterior(self, z: Tensor, k: int) -> Tensor:
        """log p(z | reading of sensor k), (B,) nats."""
        return self.log_joint(z, torch.full((len(z),), k)) - self.evidence[k].to(z)

    def example(self, k: int, n: int = 1) -> Tensor:
        """What an encoder sees: which sensor was read, as (n, 4) zeros and ones."""
        return one_hot(torch.full((n,), k), 4).float()

    @torch.no_grad()
    def gaps(self, encoder: Callable) -> list[float]:
        """KL(q(z|x) || p(z|x)) for the four readings, nats, by quadrature over the noise of q.

        ``encoder(x)`` gives q(z|x) for x (B, 4), with ``from_noise(eps)``, the draw z (B, 2) made
        of the noise eps (B, 2), and ``log_prob(z)`` of it.
        """
        eps, _ = square_grid(5.0, 200)
        share, found = (-0.5 * eps.square().sum(1)).softmax(0), []
        for k in range(4):
            q = encoder(self.example(k, len(eps)))
            z = q.from_noise(eps)
            found.append((share @ (q.log_prob(z) - self.log_posterior(z, k))).item())
        return found
