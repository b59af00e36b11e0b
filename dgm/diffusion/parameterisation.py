"""What the network predicts: the noise, the data, their mixture v, or a law over the levels.

Noise: Ho et al. (2020), arXiv:2006.11239, eq. 8; v: Salimans and Ho (2022), arXiv:2202.00512,
appendix D; a law over levels: Austin et al. (2021), arXiv:2107.03006, section 4.2, here with the
pixel's own noisy value put in by Bayes' rule. Each ``predictor(z, gamma, y)`` gives x_hat, the
mean of the data it believes in, on the scale -1 .. 1. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


def _pair(gamma: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of gamma (B,), shaped to multiply z (B, *shape)."""
    gamma = gamma.to(z.dtype).view(-1, *[1] * (z.dim() - 1))
    return (0.5 * logsigmoid(-gamma)).exp(), (0.5 * logsigmoid(gamma)).exp()


def implied_noise(z: Tensor, x_hat: Tensor, gamma: Tensor) -> Tensor:
    """The noise that must be in z (B, *shape) if x_hat is the data: (z - alpha x_hat) / sigma."""
    alpha, sigma = _pair(gamma, z)
    return (z - alpha * x_hat) / sigma


class PredictNoise(nn.Module):
    """x_hat = (z - sigma net) / alpha.

    Parameters
    ----------
    net : ``net(z, gamma, y)`` of z (B, *shape) and gamma (B,) gives as many numbers as z has.
    likelihood : ``likelihood(mean, log_scale)``, a law of x given z_0, both like z, on the scale of
        the data: `BinnedGaussianLikelihood` of levels, a normal law of reals.
    """

    def __init__(self, net: nn.Module, likelihood: object):
        super().__init__()
        self.net, self.likelihood = net, likelihood

    def _data(self, z: Tensor, out: Tensor, gamma: Tensor) -> Tensor:
        alpha, sigma = _pair(gamma, z)
        return (z - sigma * out) / alpha

    def forward(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, *shape) at gamma (B,), labels y (B,) or None -> x_hat like z."""
        return self._data(z, self.net(z, gamma, y).view_as(z), gamma)

    def reconstruction(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> object:
        """p(x | z_0): x_hat with the noise that z_0 has, a law with ``log_prob`` and ``sample``."""
        x_hat = self(z, gamma, y)
        return self.likelihood(x_hat, 0.5 * gamma.view(-1, *[1] * (z.dim() - 1)).expand_as(z))


class PredictData(PredictNoise):
    """x_hat = net."""

    def _data(self, z: Tensor, out: Tensor, gamma: Tensor) -> Tensor:
        return out


class PredictVelocity(PredictNoise):
    """x_hat = alpha z - sigma net: v = alpha eps - sigma x has the same size at every time."""

    def _data(self, z: Tensor, out: Tensor, gamma: Tensor) -> Tensor:
        alpha, sigma = _pair(gamma, z)
        return alpha * z - sigma * out


class NormalGivenNoise:
    """N(mean, exp(log_scale)^2) for every entry of reals, each (B, *shape): p(x | z_0)."""

    def __init__(self, mean: Tensor, log_scale: Tensor):
        self.mean, self.log_scale = mean, log_scale

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x | z_0), (B,) nats."""
        away = (x - self.mean) * (-self.log_scale).exp()
        each = -0.5 * away.square() - self.log_scale - 0.5 * math.log(2 * math.pi)
        return each.flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x (B, *shape)."""
        eps = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + self.log_scale.exp() * eps


class LevelsGivenNoise:
    """Independent levels with logits (B, *shape, levels): p(x | z_0)."""

    def __init__(self, data: object, logits: Tensor):
        self.data, self.logits = data, logits

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x | z_0), (B,) nats."""
        log_p = self.logits.log_softmax(-1).gather(-1, x.long().unsqueeze(-1))
        return log_p.flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """x as stored, (B, *shape)."""
        race = torch.empty_like(self.logits).exponential_(generator=generator)
        return self.data.stored((self.logits - race.log()).argmax(-1))


class PredictLevels(nn.Module):
    """p(x_d = k | z) of every pixel d, proportional to what the picture says times N(z_d; x_k).

    The network says what the *picture* makes of level k; what the pixel's own noisy value says,
    Bayes' rule says exactly, so the network need not learn how sharp a posterior is at which noise.
    With its last layer at zero the model is that of independent pixels, each by its histogram.

    Parameters
    ----------
    net : ``net(z, gamma, y)`` gives (B, C * n_features, H, W), or as many numbers in this order.
    data : Levels (support.py)
        ``shape``, ``levels``, ``dims``, ``frequencies(x)``, ``stored(v)``.
    n_features : int
        Numbers a pixel. As many as there are levels: a logit each; fewer: weights of learned
        functions of the level, shared by all pixels, which start as powers.
    """

    def __init__(self, net: nn.Module, data: object, n_features: int):
        super().__init__()
        self.net, self.data = net, data
        x = torch.linspace(-1, 1, data.levels)
        self.register_buffer("values", x, persistent=False)
        self.background = nn.Parameter(torch.zeros(*data.shape, data.levels))
        few = n_features < data.levels
        powers = torch.stack([x ** (r + 1) for r in range(n_features)]) if few else None
        self.features = nn.Parameter(powers) if few else None

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Backgrounds at the log frequencies of the levels in x (N, *shape)."""
        self.background.copy_(self.data.frequencies(x).log())

    def logits(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> Tensor:
        """Log posterior up to a constant, (B, *shape, levels)."""
        out = self.net(z, gamma, y)
        out = out.view(len(z), z.shape[1], -1, *z.shape[2:]).movedim(2, -1)  # (B, *shape, R)
        alpha, _ = _pair(gamma, z)
        snr = (-gamma).exp().to(z.dtype).view(-1, *[1] * (z.dim() - 1))
        # log N(z; alpha x_k, sigma^2) is snr (z / alpha) x_k - snr x_k^2 / 2, up to a constant
        weights = torch.stack((snr * z / alpha, (-0.5 * snr).expand_as(z)), -1)
        powers = torch.stack((self.values, self.values.square()))  # (2, levels)
        if self.features is None:
            return self.background + out + weights @ powers
        every = torch.cat((self.features, powers))  # one product for both: this is where time goes
        return self.background + torch.cat((out, weights), -1) @ every

    def forward(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, *shape) at gamma (B,), labels y (B,) or None -> x_hat like z."""
        return self.logits(z, gamma, y).softmax(-1) @ self.values

    def reconstruction(self, z: Tensor, gamma: Tensor, y: Tensor | None = None) -> object:
        """p(x | z_0), a law with ``log_prob`` and ``sample``."""
        return LevelsGivenNoise(self.data, self.logits(z, gamma, y))
