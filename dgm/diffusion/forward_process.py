"""The forward process: a Gaussian that keeps alpha of the data, in one jump or step by step.

Sohl-Dickstein et al. (2015), arXiv:1503.03585; Ho et al. (2020), arXiv:2006.11239, eqs. 2, 4, 6
and 7, in the notation of Kingma et al. (2021), arXiv:2107.00630, section 3.1 and appendix A: gamma
is minus the log of alpha^2 / sigma^2, and alpha^2 + sigma^2 = 1. Needs torch only.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


def _shaped(value: Tensor, like: Tensor) -> Tensor:
    """(B,) or () -> shaped to multiply ``like`` (B, *shape)."""
    value = value.to(like.dtype)
    return value.view(-1, *[1] * (like.dim() - 1)) if value.dim() else value


class VariancePreserving:
    """q(z_t | x) = N(alpha_t x, sigma_t^2 I) with alpha^2 + sigma^2 = 1, and all that follows.

    Examples
    --------
    >>> process, x = VariancePreserving(), torch.ones(1, 2)
    >>> process.noised(x, torch.zeros(1), torch.zeros(1, 2))  # half signal, half noise
    tensor([[0.7071, 0.7071]])
    """

    @staticmethod
    def signal_and_noise(gamma: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma of gamma (B,) or (), shaped to multiply ``like`` (B, *shape)."""
        gamma = _shaped(gamma, like)
        return (0.5 * logsigmoid(-gamma)).exp(), (0.5 * logsigmoid(gamma)).exp()

    @staticmethod
    def noised(x: Tensor, gamma: Tensor, eps: Tensor) -> Tensor:
        """z = alpha x + sigma eps: a draw of q(z | x) at once, whatever the time."""
        alpha, sigma = VariancePreserving.signal_and_noise(gamma, x)
        return alpha * x + sigma * eps

    @staticmethod
    def step_forward(z: Tensor, gamma_s: Tensor, gamma_t: Tensor, eps: Tensor) -> Tensor:
        """A draw of q(z_t | z_s), s before t: some signal is lost and some noise comes in."""
        (alpha_s, _), (alpha_t, sigma_t) = (
            VariancePreserving.signal_and_noise(g, z) for g in (gamma_s, gamma_t)
        )
        share = -torch.expm1(_shaped(gamma_s - gamma_t, z))  # of the noise at t that is new
        return alpha_t / alpha_s * z + sigma_t * share.sqrt() * eps

    @staticmethod
    def step_back(
        z: Tensor, x: Tensor, gamma_s: Tensor, gamma_t: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """q(z_s | z_t, x): its mean like z, log variance, and that of the step forward, shaped.

        With rho = exp(gamma_s - gamma_t) the mean is rho alpha_s / alpha_t z_t
        + (1 - rho) alpha_s x and the variance (1 - rho) sigma_s^2. The variance of the step
        forward is (1 - rho) sigma_t^2.
        """
        (alpha_s, _), (alpha_t, _) = (
            VariancePreserving.signal_and_noise(g, z) for g in (gamma_s, gamma_t)
        )
        log_rho = _shaped(gamma_s - gamma_t, z)
        rho, new = log_rho.exp(), -torch.expm1(log_rho)
        mean = alpha_s * (rho / alpha_t * z + new * x)
        log_new = new.clamp_min(1e-30).log()
        log_back = log_new - softplus(-_shaped(gamma_s, z))
        return mean, log_back, log_new - softplus(-_shaped(gamma_t, z))

    @staticmethod
    def cost_of_step(
        x: Tensor, x_hat: Tensor, gamma_s: Tensor, gamma_t: Tensor, share: Tensor | float = 0.0
    ) -> Tensor:
        """KL(q(z_s | z_t, x) || the same with x_hat in the place of x), (B,) nats.

        The model's variance lies between that of the step back (``share`` 0) and of the step
        forward (1), on the scale of logarithms. With share 0 the cost is half the loss of
        signal-to-noise ratio times the squared error of x_hat.
        """
        snr_lost = (-gamma_s).exp() * -torch.expm1(gamma_s - gamma_t)
        error = (x - x_hat).square().flatten(1).sum(1)
        # variance of q over that of the model, r = (sigma_s^2 / sigma_t^2)^share
        log_r = share * (softplus(-gamma_t) - softplus(-gamma_s))
        mismatch = torch.expm1(log_r) - log_r
        return 0.5 * (x[0].numel() * mismatch + log_r.exp() * snr_lost * error)

    @staticmethod
    def cost_of_prior(x: Tensor, gamma: Tensor) -> Tensor:
        """KL(q(z | x) || N(0, I)) at the last time, (B,) nats: what of x is still there."""
        kept, noise = torch.sigmoid(-gamma), torch.sigmoid(gamma)
        energy = kept * x.square().flatten(1).sum(1)
        return 0.5 * (energy + x[0].numel() * (noise - 1 - logsigmoid(gamma)))
