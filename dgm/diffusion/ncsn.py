"""NCSN: one network for the scores of the data in every noise, and draws by annealed walks.

Song and Ermon (2019), arXiv:1907.05600, eqs. 5 and 6; the network divided by the noise and the
last step of denoising: Song and Ermon (2020), arXiv:2006.09011, sections 3.3 and 4. Needs torch
only.
"""

import torch
from torch import Tensor, nn


class NCSN(nn.Module):
    """s(x, sigma) = net(x / sqrt(1 + sigma^2), log sigma) / sigma: the score of data + sigma eps.

    No density: it has ``score`` and ``sample``. Integers are taken to -1 .. 1.

    Parameters
    ----------
    data : Levels or Reals (support.py)
    net : ``net(x, level)`` of x (B, *shape) and level (B,) gives as many numbers.
    sigmas : tensor (L,)
        Falling noise levels.
    walk : ``walk(score, x, generator)`` moves x (n, *shape) along the score (langevin.py).
    """

    def __init__(self, data: object, net: nn.Module, sigmas: Tensor, walk: object):
        super().__init__()
        self.data, self.net, self.walk = data, net, walk
        self.register_buffer("sigmas", torch.as_tensor(sigmas, dtype=torch.float32))
        if not (self.sigmas[1:] < self.sigmas[:-1]).all() or not (self.sigmas > 0).all():
            raise ValueError(f"sigmas must be positive and falling, got {sigmas}")

    def score(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Gradient of log p_sigma at x (B, *shape), like x; sigma (B,), the smallest if None."""
        sigma = self.sigmas[-1].expand(len(x)) if sigma is None else sigma
        wide = sigma.view(-1, *[1] * (x.dim() - 1))
        return self.net(x / (1 + wide.square()).sqrt(), 2 * sigma.log()).view_as(x) / wide

    def loss(self, x: Tensor) -> Tensor:
        """sigma^2 |s(x + sigma eps, sigma) + eps / sigma|^2 / 2 at one of the levels, (B,)."""
        x = self.data.check(x, trusted=self.training)
        u = self.data.scaled(x, dtype=self.sigmas.dtype)
        sigma = self.sigmas[torch.randint(len(self.sigmas), (len(u),), device=u.device)]
        wide, eps = sigma.view(-1, *[1] * (u.dim() - 1)), torch.randn_like(u)
        off = wide * self.score(u + wide * eps, sigma) + eps
        return 0.5 * off.square().flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n ends of annealed walks from the widest noise, denoised once, (n, *shape) as stored."""
        x = torch.empty(self.data.count(n), *self.data.shape).to(self.sigmas)
        x = self.sigmas[0] * x.normal_(generator=generator)
        if not n:
            return self.data.stored(x)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        x = self.walk(self.score, x, generator)
        x = x + self.sigmas[-1] ** 2 * self.score(x)
        for module, training in modes:
            module.training = training
        x = self.data.unscaled(x)
        return self.data.stored(x.round() if hasattr(self.data, "levels") else x)
