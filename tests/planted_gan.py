"""Faults of GANs: each plants itself and names the property it must break."""

import torch
from torch.nn.functional import normalize, softplus

import dgm.gan.optimum as optimum
import dgm.gan.penalties as penalties
import dgm.train.game as game
from dgm.gan.games import Minimax, NonSaturating, RelativisticPair
from dgm.gan.gan import GAN
from dgm.gan.penalties import UnitSlope, ZeroSlope
from dgm.gan.spectral import SpectralWeight

_ALONE = "each_network_gets_the_gradient_of_its_own_loss_alone"
_BEST = "the_best_critic_is_the_log_ratio_and_none_is_better"
_VALUE = "the_value_at_the_best_critic_is_two_divergences_less_log_four"
_FOOLS = "a_step_of_the_generator_moves_its_draws_to_what_the_critic_likes"
_UNIT = "the_unit_slope_is_asked_for_between_pairs"
_ZERO = "the_zero_slope_is_asked_for_at_data_and_at_fakes"
_SPECTRAL = "spectral_weights_follow_the_largest_singular_value"
_AVERAGE = "the_model_ends_with_the_running_average"


def the_critic_learns_on_fakes_that_are_attached(patch):
    right = GAN.draw

    def critic_loss(gan, x):
        logits = gan._logit(torch.cat((gan._real(x), right(gan, len(x))))).chunk(2)
        return gan.game.critic(*logits)

    patch.setattr(GAN, "critic_loss", critic_loss)
    return _ALONE


def the_generator_moves_the_critic_too(patch):
    def generator_loss(gan, x):
        logits = gan._logit(torch.cat((gan._real(x), gan.draw(len(x)))))
        return gan.game.generator(*logits.chunk(2))

    patch.setattr(GAN, "generator_loss", generator_loss)
    return _ALONE


def the_generator_climbs_where_it_should_descend(patch):
    patch.setattr(NonSaturating, "generator", lambda self, real, fake: softplus(fake))
    return _FOOLS


def the_generator_sees_detached_draws(patch):
    right = GAN.draw
    patch.setattr(GAN, "draw", lambda gan, n: right(gan, n).detach())
    return _FOOLS


def the_labels_of_the_critic_are_swapped(patch):
    patch.setattr(Minimax, "critic", lambda self, real, fake: softplus(real) + softplus(-fake))
    return _BEST


def the_pair_is_turned_round(patch):
    patch.setattr(RelativisticPair, "critic", lambda self, real, fake: softplus(real - fake))
    return _BEST


def the_log_ratio_is_turned_round(patch):
    patch.setattr(optimum, "best_logit", lambda log_p, log_q: log_q - log_p)
    return _BEST


def the_divergence_without_its_half(patch):
    right = optimum.jensen_shannon
    patch.setattr(optimum, "jensen_shannon", lambda p, q, cell: 2 * right(p, q, cell))
    return _VALUE


def the_middle_law_without_its_half(patch):
    def jensen_shannon(log_p, log_q, cell):
        log_m = torch.logaddexp(log_p, log_q)
        terms = [(t.exp() * (t - log_m)).sum() for t in (log_p, log_q)]
        return (0.5 * sum(terms) * cell).item()

    patch.setattr(optimum, "jensen_shannon", jensen_shannon)
    return _VALUE


def the_penalty_is_taken_at_data(patch):
    def call(self, critic, real, fake):
        slope = penalties.squared_slope(critic, real).sqrt()
        return self.weight * (slope - 1).square()

    patch.setattr(UnitSlope, "__call__", call)
    return _UNIT


def one_share_for_every_pixel(patch):
    def call(self, critic, real, fake):
        share = torch.rand_like(real)
        slope = penalties.squared_slope(critic, share * real + (1 - share) * fake)
        return self.weight * (slope.sqrt() - 1).square()

    patch.setattr(UnitSlope, "__call__", call)
    return _UNIT


def one_share_for_the_whole_batch(patch):
    def call(self, critic, real, fake):
        share = torch.rand((), dtype=real.dtype)
        slope = penalties.squared_slope(critic, share * real + (1 - share) * fake)
        return self.weight * (slope.sqrt() - 1).square()

    patch.setattr(UnitSlope, "__call__", call)
    return _UNIT


def the_penalty_has_no_gradient(patch):
    right = penalties.squared_slope
    patch.setattr(penalties, "squared_slope", lambda critic, x: right(critic, x).detach())
    return _UNIT


def fakes_pay_for_the_slope_at_data(patch):
    def call(self, critic, real, fake):
        at_data = penalties.squared_slope(critic, real)
        return 0.5 * self.weight * (self.at_real + self.at_fake) * at_data

    patch.setattr(ZeroSlope, "__call__", call)
    return _ZERO


def the_slope_is_not_squared(patch):
    right = penalties.squared_slope
    patch.setattr(penalties, "squared_slope", lambda critic, x: right(critic, x).sqrt())
    return _ZERO


def the_iteration_of_the_norm_stands_still(patch):
    patch.setattr(SpectralWeight, "_iterate", lambda self, rows, steps: None)
    return _SPECTRAL


def the_norm_is_a_constant_to_the_gradient(patch):
    def forward(self, weight):
        rows = weight.detach().flatten(1)
        self._iterate(rows, 20)
        return weight / (self.left @ rows @ normalize(rows.T @ self.left, dim=0))

    patch.setattr(SpectralWeight, "forward", forward)
    return _SPECTRAL


def the_norm_moves_in_eval_mode(patch):
    right = SpectralWeight.forward

    def forward(self, weight):
        self._iterate(weight.detach().flatten(1), 1)
        return right(self, weight)

    patch.setattr(SpectralWeight, "forward", forward)
    return _SPECTRAL


def the_average_is_that_of_the_start(patch):
    right = game.Progress

    class Wrong(right):
        def average(self, step):
            pass

    patch.setattr(game, "Progress", Wrong)
    return _AVERAGE


def the_average_moves_the_weights_that_train(patch):
    class AlsoMoves(game.Progress):
        @torch.no_grad()
        def average(self, step):
            super().average(step)
            if self.averages:
                torch._foreach_copy_(self.parameters, self.averages)

    patch.setattr(game, "Progress", AlsoMoves)
    return _AVERAGE


def both_players_descend_the_critics_loss(patch):
    patch.setattr(GAN, "generator_loss", GAN.critic_loss)
    return _FOOLS


def draws_are_rounded_down(patch):
    def decode(gan, z):
        return gan.data.stored(gan.data.unscaled(gan.generator(z).detach()))

    patch.setattr(GAN, "decode", decode)
    return "levels_come_back_as_they_were"


def noise_of_two_bins(patch):
    right = GAN._real

    def real(gan, x):
        gan.noise = 2 * gan.noise
        found = right(gan, x)
        gan.noise = gan.noise / 2
        return found

    patch.setattr(GAN, "_real", real)
    return "levels_come_back_as_they_were"


FAULTS = [
    the_critic_learns_on_fakes_that_are_attached, the_generator_moves_the_critic_too,
    the_generator_climbs_where_it_should_descend, the_generator_sees_detached_draws,
    the_labels_of_the_critic_are_swapped, the_pair_is_turned_round, the_log_ratio_is_turned_round,
    the_divergence_without_its_half, the_middle_law_without_its_half, the_penalty_is_taken_at_data,
    one_share_for_every_pixel, one_share_for_the_whole_batch, the_penalty_has_no_gradient,
    fakes_pay_for_the_slope_at_data, the_slope_is_not_squared,
    the_iteration_of_the_norm_stands_still, the_norm_is_a_constant_to_the_gradient,
    the_norm_moves_in_eval_mode, the_average_is_that_of_the_start,
    the_average_moves_the_weights_that_train, both_players_descend_the_critics_loss,
    draws_are_rounded_down, noise_of_two_bins,
]  # fmt: skip
