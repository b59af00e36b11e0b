"""Faults of diffusion models: each plants itself and names the property it must break."""

import torch
from torch.special import log_ndtr

import dgm.diffusion.score_matching as score_matching
from dgm.diffusion.absorbing import AbsorbingDiffusion
from dgm.diffusion.ddim import DDIM
from dgm.diffusion.diffusion import Diffusion
from dgm.diffusion.edm import EDM
from dgm.diffusion.forward_process import VariancePreserving
from dgm.diffusion.langevin import AnnealedLangevin
from dgm.diffusion.parameterisation import PredictLevels, PredictVelocity
from dgm.diffusion.probability_flow import ProbabilityFlow
from dgm.distribution.binned_gaussian import BinnedGaussianLikelihood

_ENTROPY = "the_bound_on_a_gaussian_is_its_entropy"
_JUMP = "one_jump_is_many_steps"
_BAYES = "a_step_back_is_bayes_rule"
_COST = "the_cost_of_a_step_is_a_divergence_of_two_gaussians"
_PRIOR = "the_prior_term_is_a_divergence_from_the_unit_normal"
_SUM = "elbo_is_minus_the_sum_of_every_term"
_PATH = "path_weights_average_to_a_probability"
_BINS = "bins_of_a_ddpm_sum_to_one"
_DENSITY = "the_flow_without_noise_has_the_density_of_the_data"
_ORDERS = "an_absorbing_bound_is_the_mean_over_orders"


def the_prior_term_is_dropped(patch):
    right = Diffusion.terms

    def terms(self, x, y=None):
        found = right(self, x, y)
        return found | {"prior": torch.zeros_like(found["prior"])}

    patch.setattr(Diffusion, "terms", terms)
    return _SUM


def the_prior_term_lacks_its_half(patch):
    right = VariancePreserving.cost_of_prior
    patch.setattr(VariancePreserving, "cost_of_prior", staticmethod(lambda *a: 2 * right(*a)))
    return _PRIOR


def the_last_step_is_looked_at_never(patch):
    """An index off by one: T - 1 in the place of T steps."""
    right = Diffusion._cost

    def cost(self, u, i, y):
        return right(self, u, i, y) * (i < self.steps)

    patch.setattr(Diffusion, "_cost", cost)
    return _SUM


def the_time_is_that_of_the_step_before(patch):
    """An index off by one in drawing: the network hears of the noise at s, not at t."""
    right = Diffusion._gamma

    def gamma(self, i):
        return right(self, (i - 1).clamp_min(0)) if len(i.shape) and i.min() > 0 else right(self, i)

    patch.setattr(Diffusion, "_gamma", gamma)
    return _PATH


def one_step_counts_for_the_whole_chain_unweighted(patch):
    right = Diffusion.terms

    def terms(self, x, y=None):
        found = right(self, x, y)
        return found | {"diffusion": found["diffusion"] * self.strata / self.steps}

    patch.setattr(Diffusion, "terms", terms)
    return _SUM


def the_reconstruction_counts_once_in_training(patch):
    right = Diffusion._look

    def look(self, x, u, z, gamma_t, i, at_end, y):
        found = right(self, x, u, z, gamma_t, i, at_end, y)
        return torch.where(at_end, found / 8, found)

    patch.setattr(Diffusion, "_look", look)
    return _SUM


def the_noise_of_a_step_is_that_of_the_step_forward(patch):
    right = VariancePreserving.step_back

    def step_back(z, x, gamma_s, gamma_t):
        mean, _, forward = right(z, x, gamma_s, gamma_t)
        return mean, forward, forward

    patch.setattr(VariancePreserving, "step_back", staticmethod(step_back))
    return _BAYES


def a_step_back_forgets_where_it_is(patch):
    right = VariancePreserving.step_back

    def step_back(z, x, gamma_s, gamma_t):
        mean, *rest = right(z, x, gamma_s, gamma_t)
        return mean - right(z, 0 * x, gamma_s, gamma_t)[0], *rest

    patch.setattr(VariancePreserving, "step_back", staticmethod(step_back))
    return _BAYES


def a_step_forward_keeps_all_of_its_signal(patch):
    right = VariancePreserving.step_forward

    def step_forward(z, gamma_s, gamma_t, eps):
        return z + right(0 * z, gamma_s, gamma_t, eps)

    patch.setattr(VariancePreserving, "step_forward", staticmethod(step_forward))
    return _JUMP


def sigma_where_its_square_is_meant(patch):
    right = VariancePreserving.signal_and_noise

    def signal_and_noise(gamma, like):
        alpha, sigma = right(gamma, like)
        return alpha, sigma.square()

    patch.setattr(VariancePreserving, "signal_and_noise", staticmethod(signal_and_noise))
    return _JUMP


def the_cost_lacks_its_half(patch):
    right = VariancePreserving.cost_of_step
    patch.setattr(VariancePreserving, "cost_of_step", staticmethod(lambda *a: 2 * right(*a)))
    return _COST


def the_cost_ignores_the_variances(patch):
    right = VariancePreserving.cost_of_step

    def cost(x, x_hat, gamma_s, gamma_t, share=0.0):
        return right(x, x_hat, gamma_s, gamma_t)

    patch.setattr(VariancePreserving, "cost_of_step", staticmethod(cost))
    return _ENTROPY


def steps_are_weighted_alike(patch):
    """The simple loss, called a bound."""

    def cost(x, x_hat, gamma_s, gamma_t, share=0.0):
        return 0.5 * (x - x_hat).square().flatten(1).sum(1)

    patch.setattr(VariancePreserving, "cost_of_step", staticmethod(cost))
    return _COST


def bins_of_half_their_width(patch):
    right = BinnedGaussianLikelihood._log_mass

    def log_mass(self, v, mean, log_scale):
        inside = right(self, v, mean, log_scale)
        t, quarter = (v - mean) * (-log_scale).exp(), 0.25 * (-log_scale).exp()
        half = torch.log(log_ndtr(t + quarter).exp() - log_ndtr(t - quarter).exp())
        return torch.where((v > 0) & (v < self.data.levels - 1), half, inside)

    patch.setattr(BinnedGaussianLikelihood, "_log_mass", log_mass)
    return _BINS


def edge_bins_are_closed(patch):
    def log_mass(self, v, mean, log_scale):
        t, half = (v - mean) * (-log_scale).exp(), 0.5 * (-log_scale).exp()
        return torch.log(log_ndtr(t + half).exp() - log_ndtr(t - half).exp())

    patch.setattr(BinnedGaussianLikelihood, "_log_mass", log_mass)
    return _BINS


def v_has_its_sign_turned(patch):
    right = PredictVelocity._data
    patch.setattr(PredictVelocity, "_data", lambda self, z, out, gamma: right(self, z, -out, gamma))
    return "predictions_are_of_the_same_data"


def levels_forget_their_own_pixel(patch):
    def logits(self, z, gamma, y=None):
        out = self.net(z, gamma, y)
        return self.background + out.view(len(z), z.shape[1], -1, *z.shape[2:]).movedim(2, -1)

    patch.setattr(PredictLevels, "logits", logits)
    return "levels_are_weighed_by_bayes_rule"


def guidance_with_its_sign_turned(patch):
    right = DDIM._guided

    def guided(self, model, z, gamma, y):
        with_y, w = model.predictor(z, gamma, y), self.guidance
        return right(self, model, z, gamma, y) if not w else 2 * with_y - right(
            self, model, z, gamma, y)  # fmt: skip

    patch.setattr(DDIM, "_guided", guided)
    return "guidance_moves_towards_the_label"


def ddim_adds_the_noise_of_a_step_on_top(patch):
    """eta counted twice: the deterministic part is not made smaller."""

    def step(self, process, z, x_hat, gamma_s, gamma_t, generator=None):
        alpha_t, sigma_t = process.signal_and_noise(gamma_t, z)
        alpha_s, sigma_s = process.signal_and_noise(gamma_s, z)
        fresh = self.eta * (0.5 * process.step_back(z, x_hat, gamma_s, gamma_t)[1]).exp()
        z = alpha_s * x_hat + sigma_s * (z - alpha_t * x_hat) / sigma_t
        return z + fresh * torch.empty_like(z).normal_(generator=generator)

    patch.setattr(DDIM, "step", step)
    return "ddim_carries_a_gaussian_to_a_gaussian"


def noise_is_added_at_the_last_step(patch):
    right = EDM.heun

    def heun(self, x, levels, path=None):
        return right(self, x, levels, path) + 0.05 * torch.randn_like(x)

    patch.setattr(EDM, "heun", heun)
    return "the_last_step_adds_no_noise"


def heun_without_its_second_slope(patch):
    def heun(self, x, levels, path=None):
        for now, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
            slope = (x - self.denoised(x, torch.full((len(x),), now).to(x))) / now
            x = x + (after - now) * slope
        return x

    patch.setattr(EDM, "heun", heun)
    return "heun_is_of_second_order"


def the_preconditioner_skips_too_much(patch):
    right = EDM.denoised

    def denoised(self, x, sigma):
        whole = sigma.view(-1, *[1] * (x.dim() - 1)).square() + self.deviation**2
        return (
            right(self, x, sigma) + (self.deviation / whole.sqrt() - self.deviation**2 / whole) * x
        )

    patch.setattr(EDM, "denoised", denoised)
    return "preconditioning_keeps_unit_size"


def the_likelihood_of_the_flow_lacks_its_divergence(patch):
    patch.setattr(
        ProbabilityFlow, "with_trace", lambda self, t, z: (self(t, z), z.new_zeros(len(z))),
        raising=False,
    )  # fmt: skip
    return _DENSITY


def the_flow_has_the_drift_of_the_noisy_walk(patch):
    """Twice the score: right for the equation with noise, wrong without."""

    def forward(self, t, z):
        gamma = (self.high + (self.low - self.high) * torch.as_tensor(t).to(z)).expand(len(z))
        alpha, _ = self.process.signal_and_noise(gamma, z)
        pull = 2 * (z - alpha * self.predictor(z, gamma)) - (1 - alpha.square()) * z
        return 0.5 * (self.low - self.high) * (pull - z + alpha.square() * z)

    patch.setattr(ProbabilityFlow, "forward", forward)
    return _DENSITY


def hidden_entries_are_seen(patch):
    right = AbsorbingDiffusion.logits
    patch.setattr(
        AbsorbingDiffusion, "logits", lambda self, x, seen: right(self, x, torch.ones_like(seen))
    )
    return "every_order_is_a_law"


def masks_count_alike(patch):
    """The mean over hidden entries without its weight: all of them, at every stage."""
    right = AbsorbingDiffusion._cost

    def cost(self, x, i, rank, every=False):
        found = right(self, x, i, rank, every)
        hidden = self.data.dims - self._begins(i)
        return found * hidden / self.data.dims * 2 if every else found

    patch.setattr(AbsorbingDiffusion, "_cost", cost)
    return _ORDERS


def a_stage_begins_one_entry_late(patch):
    right = AbsorbingDiffusion._begins

    def begins(self, i):
        return (right(self, i) + 1).clamp_max(self.data.dims)

    patch.setattr(AbsorbingDiffusion, "_begins", begins)
    return _ORDERS


def the_trace_is_dropped(patch):
    def explicit(score, x):
        return 0.5 * score(x).square().sum(1)

    patch.setattr(score_matching, "explicit_score_matching", explicit)
    return "scores_of_a_gaussian_are_matched"


def the_target_of_denoising_has_its_sign_turned(patch):
    def denoising(score, x, sigma, eps):
        return 0.5 * (score(x + sigma * eps) - eps / sigma).square().sum(1)

    patch.setattr(score_matching, "denoising_score_matching", denoising)
    return "scores_of_a_gaussian_are_matched"


def a_walk_with_half_of_its_noise(patch):
    right = AnnealedLangevin.__call__

    def call(self, score, x, generator=None):
        self.rate = self.rate / 2
        return right(self, lambda x, s: 4 * score(x, s), x, generator)

    patch.setattr(AnnealedLangevin, "__call__", call)
    return "annealed_walks_find_the_weights"


FAULTS = [
    the_prior_term_is_dropped, the_prior_term_lacks_its_half, the_last_step_is_looked_at_never,
    the_time_is_that_of_the_step_before, one_step_counts_for_the_whole_chain_unweighted,
    the_reconstruction_counts_once_in_training, the_noise_of_a_step_is_that_of_the_step_forward,
    a_step_back_forgets_where_it_is, a_step_forward_keeps_all_of_its_signal,
    sigma_where_its_square_is_meant, the_cost_lacks_its_half, the_cost_ignores_the_variances,
    steps_are_weighted_alike, bins_of_half_their_width, edge_bins_are_closed,
    v_has_its_sign_turned, levels_forget_their_own_pixel, guidance_with_its_sign_turned,
    ddim_adds_the_noise_of_a_step_on_top, noise_is_added_at_the_last_step,
    heun_without_its_second_slope, the_preconditioner_skips_too_much,
    the_likelihood_of_the_flow_lacks_its_divergence, the_flow_has_the_drift_of_the_noisy_walk,
    hidden_entries_are_seen, masks_count_alike, a_stage_begins_one_entry_late,
    the_trace_is_dropped, the_target_of_denoising_has_its_sign_turned,
    a_walk_with_half_of_its_noise,
]  # fmt: skip
