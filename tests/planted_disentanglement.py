"""Faults of prices and metrics: each plants itself and names the property that it must break."""

import torch
from torch import nn

from dgm.data import sprite_variants
from dgm.disentanglement import (
    annealed_capacity,
    covariance_price,
    critic_price,
    interventional,
    minibatch_price,
    rotated_code,
    separated_attribute,
    shared_factor_scores,
)
from dgm.disentanglement import dci as trees
from dgm.disentanglement import information_scores as table
from dgm.disentanglement import total_correlation as correlation
from dgm.disentanglement.info_gan import InfoGAN
from dgm.disentanglement.priced_vae import PricedVAE, WeightedKL
from dgm.zoo.studies import disentangled_sprites as study

_PAIR, _GAP = (
    "information_is_that_of_every_pair",
    "the_gap_is_between_codes_and_not_between_factors",
)
_GRID = "metrics_of_the_exact_grid_are_those_of_the_study"
_CRITIC = "each_player_of_the_critic_gets_its_own_gradient"
_BATCH = "a_batch_estimates_the_total_correlation"
_CAPACITY = "the_capacity_rises_and_the_kl_is_held_there"
_COVARIANCE = "the_covariance_is_paid_for_entry_by_entry"
_TURNED = "a_turned_code_says_the_same_of_x"


def information_with_its_axes_exchanged(patch):
    right = table.mutual_information
    patch.setattr(table, "mutual_information", lambda z, f, n=20: right(z, f, n).T)
    return _PAIR


def information_in_bits(patch):
    right = table.mutual_information
    patch.setattr(table, "mutual_information", lambda z, f, n=20: right(z, f, n) / 0.6931)
    return _PAIR


def bins_of_equal_counts(patch):
    def bins(codes, n=20):
        return codes.argsort(0).argsort(0) * n // len(codes)

    patch.setattr(table, "code_bins", bins)
    return _PAIR


def the_second_best_is_of_another_factor(patch):
    def gap(z, f, n=20):
        information, entropy = table.mutual_information(z, f, n), table.factor_entropies(f)
        best = torch.nn.functional.pad(information, (0, 1)).sort(1, descending=True).values
        return ((best[:, 0] - best[:, 1]) / entropy.max()).mean().item()

    patch.setattr(table, "mutual_information_gap", gap)
    return _GAP


def the_gap_is_not_divided_by_the_entropy(patch):
    patch.setattr(table, "factor_entropies", lambda f: torch.ones(f.shape[1]).double())
    return _GAP


def modularity_of_factors_in_place_of_codes(patch):
    def wrong(z, f, n=20):
        squares = table.mutual_information(z, f, n).square().T
        top = squares.amax(1)
        return (1 - (squares.sum(1) - top) / (top * (squares.shape[1]))).mean().item()

    patch.setattr(table, "modularity", wrong)
    return "modularity_asks_what_else_a_code_knows"


def votes_for_the_code_that_moves_most(patch):
    def wrong(codes, spread):
        return (codes.var(1) / spread.square().clamp_min(1e-9)).argmax(1)

    patch.setattr(shared_factor_scores, "stillest_codes", wrong)
    return "votes_go_to_the_code_that_stands_still"


def variances_are_not_relative(patch):
    patch.setattr(shared_factor_scores, "stillest_codes", lambda z, spread: z.var(1).argmin(1))
    return "votes_go_to_the_code_that_stands_still"


def nothing_stands_still(patch):
    right = shared_factor_scores._still

    def wrong(counts, n, size, made):
        factors, which = right(counts, n, size, made)
        return shared_factor_scores._drawn(counts, n * size, made).view_as(factors), which

    patch.setattr(shared_factor_scores, "_still", wrong)
    return _GRID


def importances_over_the_wrong_axis(patch):
    right = trees.scores_of_importances
    patch.setattr(trees, "scores_of_importances", lambda r: right(r)[::-1])
    return "importances_are_concentrated_by_code_and_by_factor"


def all_codes_count_alike(patch):
    def wrong(r):
        return trees.concentration(r).mean().item(), trees.concentration(r.T).mean().item()

    patch.setattr(trees, "scores_of_importances", wrong)
    return "importances_are_concentrated_by_code_and_by_factor"


def the_hinge_is_not_squared(patch):
    right = separated_attribute._newton_step

    def wrong(w, u, sign, cost):
        return right(w, u, sign, cost.sqrt())

    patch.setattr(separated_attribute, "_newton_step", wrong)
    return "machines_are_those_of_the_library"


def the_reach_is_that_of_the_first_group(patch):
    right = interventional.robustness_table
    patch.setattr(interventional, "robustness_table", lambda z, f, q=0.99: right(z, f.flip(1), q))
    return "robustness_is_the_reach_that_is_left"


def the_determinant_without_its_half(patch):
    right = correlation.gaussian_total_correlation
    patch.setattr(correlation, "gaussian_total_correlation", lambda z: 2 * right(z))
    return "the_closed_form_is_that_of_the_correlation"


def the_covariance_in_place_of_the_correlation(patch):
    def wrong(z):
        return -0.5 * torch.linalg.slogdet(torch.cov(z.T))[1].item()

    patch.setattr(correlation, "gaussian_total_correlation", wrong)
    return "the_closed_form_is_that_of_the_correlation"


def negatives_are_not_exchanged(patch):
    patch.setattr(critic_price, "exchanged", lambda z, generator=None: z)
    return "exchanged_codes_keep_their_marginals_only"


def whole_codes_are_exchanged(patch):
    patch.setattr(critic_price, "exchanged", lambda z, generator=None: z[torch.randperm(len(z))])
    return "a_critic_estimates_the_total_correlation"


def the_critic_learns_from_the_price(patch):
    patch.setattr(critic_price.CriticPrice, "logit", lambda p, z: p.critic(z).reshape(len(z)))
    return _CRITIC


def the_encoder_learns_from_the_critics_loss(patch):
    def wrong(price, z):
        real, product = price.critic(torch.cat((z, z.flip(0)))).reshape(2, len(z))
        return nn.functional.softplus(-real) + nn.functional.softplus(product)

    patch.setattr(critic_price.CriticPrice, "critic_loss", wrong)
    return _CRITIC


def constants_are_left_out_of_the_batch(patch):
    right = minibatch_price.log_aggregate

    def wrong(z, mean, log_var, n):
        joint, single = right(z, mean, log_var, n)
        log_n = torch.tensor(float(len(z))).log()
        return joint + log_n, single + log_n

    patch.setattr(minibatch_price, "log_aggregate", wrong)
    return _BATCH


def the_batch_is_all_there_is(patch):
    right = minibatch_price.log_aggregate
    patch.setattr(minibatch_price, "log_aggregate", lambda z, m, v, n: right(z, m, v, len(z)))
    return _BATCH


def the_capacity_has_the_wrong_sign(patch):
    right = annealed_capacity.AnnealedCapacity.target
    patch.setattr(annealed_capacity.AnnealedCapacity, "target", lambda p: -right(p))
    return _CAPACITY


def the_capacity_never_rises(patch):
    def target(price):
        return price.capacity * torch.ones(())

    patch.setattr(annealed_capacity.AnnealedCapacity, "target", target)
    return _CAPACITY


def the_covariance_lacks_the_variances(patch):
    right = covariance_price.code_covariance
    patch.setattr(covariance_price, "code_covariance", lambda mean, log_var=None: right(mean))
    return _COVARIANCE


def log_variances_in_place_of_variances(patch):
    right = covariance_price.code_covariance

    def wrong(mean, log_var=None):
        return right(mean) + (0 if log_var is None else log_var.mean(0).diag())

    patch.setattr(covariance_price, "code_covariance", wrong)
    return _COVARIANCE


def the_bound_is_weighted_too(patch):
    def elbo(model, x):
        terms = model.terms(x)
        beta = getattr(model.price, "beta", getattr(model.price, "gamma", 1.0))
        return terms["reconstruction"] - beta * terms["kl"]

    patch.setattr(PricedVAE, "elbo", elbo)
    return "strengths_change_the_loss_and_nothing_else"


def beta_is_forgotten(patch):
    patch.setattr(WeightedKL, "forward", lambda price, q, z: q.kl())
    return "strengths_change_the_loss_and_nothing_else"


def the_weight_is_on_the_reconstruction(patch):
    def loss(model, x):
        q = model.posterior(x)
        z = q.rsample()
        return model.price(q, z) - model.weight * model.likelihood(z).log_prob(x)

    patch.setattr(PricedVAE, "loss", loss)
    return "the_weight_is_that_of_the_price"


def the_code_is_turned_twice(patch):
    def likelihood(model, z):
        return model.vae.likelihood(z @ model.rotation.T)

    patch.setattr(rotated_code.RotatedCode, "likelihood", likelihood)
    return _TURNED


def the_mean_is_not_turned(patch):
    def init(q, law, rotation):
        q.law, q.rotation, q.mean = law, rotation, law.mean

    patch.setattr(rotated_code.TurnedPosterior, "__init__", init)
    return _TURNED


def noise_is_read_in_place_of_codes(patch):
    right = InfoGAN.unread

    def unread(model, n):
        model.prior.sample = lambda n, right=model.prior.sample: right(n).flip(1)
        return right(model, n)

    patch.setattr(InfoGAN, "unread", unread)
    return "codes_are_read_from_what_they_draw"


def information_counts_the_whole_bound(patch):
    right = study.rates

    def rates(model, n=500):
        found = right(model, n)
        return found | {"information": found["kl"] + found["tc"]}

    patch.setattr(study, "rates", rates)
    return "the_parts_of_the_kl_add_up"


def the_noise_covers_the_sprite(patch):
    right = sprite_variants.noisy
    patch.setattr(sprite_variants, "noisy", lambda x, *a, **k: x ^ right(0 * x, *a, **k))
    return "sprites_of_every_variant_show_the_same_factors"


FAULTS = [
    information_with_its_axes_exchanged, information_in_bits, bins_of_equal_counts,
    the_second_best_is_of_another_factor, the_gap_is_not_divided_by_the_entropy,
    modularity_of_factors_in_place_of_codes, votes_for_the_code_that_moves_most,
    variances_are_not_relative, nothing_stands_still, importances_over_the_wrong_axis,
    all_codes_count_alike, the_hinge_is_not_squared, the_reach_is_that_of_the_first_group,
    the_determinant_without_its_half, the_covariance_in_place_of_the_correlation,
    negatives_are_not_exchanged, whole_codes_are_exchanged, the_critic_learns_from_the_price,
    the_encoder_learns_from_the_critics_loss, constants_are_left_out_of_the_batch,
    the_batch_is_all_there_is, the_capacity_has_the_wrong_sign, the_capacity_never_rises,
    the_covariance_lacks_the_variances, log_variances_in_place_of_variances,
    the_bound_is_weighted_too, beta_is_forgotten, the_weight_is_on_the_reconstruction,
    the_code_is_turned_twice, the_mean_is_not_turned, noise_is_read_in_place_of_codes,
    information_counts_the_whole_bound, the_noise_covers_the_sprite,
]  # fmt: skip
