"""Faults of fair codes: each plants itself and names the property it must break."""

import math

import torch

from dgm.data.known_bias import KnownBias
from dgm.fairness import group_gaps as gaps
from dgm.fairness import random_feature_mmd as distances
from dgm.fairness import sensitive_probe as probes
from dgm.fairness.fair_vae import FairVAE
from dgm.fairness.flexibly_fair import FlexiblyFairVAE
from dgm.fairness.group_adversary import _TurnedRound

_KERNEL, _GRAM = (
    "random_features_approach_the_kernel", "feature_distances_are_those_of_their_gram_matrix",
)  # fmt: skip
_NULL, _BOOK = "exchanged_groups_give_the_null", "the_kernel_distance_is_that_of_the_book"
_BOUND, _EXACT = (
    "the_bound_sums_the_classes", "bounds_stay_below_the_exact_likelihood_and_reach_it",
)  # fmt: skip
_LOSS, _CRITIC = (
    "the_loss_is_the_bound_the_label_and_the_penalty",
    "critic_and_codes_move_by_their_own_part_only",
)
_MIXED, _GAUSS = (
    "permuted_codes_break_every_tie_but_that_inside_z",
    "the_critic_finds_the_dependence_of_gaussians",
)
_GAPS, _LAW = "gaps_are_those_counted_by_hand", "the_known_frontier_is_the_best_of_all_thresholds"
_PROBE = "a_probe_of_noise_finds_nothing_and_one_of_a_riddle_all"


# --- distances ------------------------------------------------------------------------------------


def _features(patch, w_factor, scale):
    right = distances.RandomFeatures.__init__

    def init(psi, *args, **options):
        right(psi, *args, **options)
        psi.w *= w_factor(args[2])

    def forward(psi, z):
        return scale(len(psi.turn)) * torch.cos(z @ psi.w + psi.turn)

    patch.setattr(distances.RandomFeatures, "__init__", init)
    patch.setattr(distances.RandomFeatures, "forward", forward)
    return _KERNEL


def the_bandwidth_lacks_its_factor_two(patch):
    return _features(patch, lambda width: math.sqrt(0.5), lambda r: math.sqrt(2 / r))


def the_bandwidth_is_turned_over(patch):
    return _features(patch, lambda width: width, lambda r: math.sqrt(2 / r))


def features_are_scaled_by_one_in_place_of_two(patch):
    return _features(patch, lambda width: 1.0, lambda r: math.sqrt(1 / r))


def all_phases_are_zero(patch):
    right = distances.RandomFeatures.__init__

    def init(psi, *args, **options):
        right(psi, *args, **options)
        psi.turn.zero_()

    patch.setattr(distances.RandomFeatures, "__init__", init)
    return _KERNEL


def the_diagonal_counts_as_pairs(patch):
    right = distances.random_feature_mmd
    patch.setattr(distances, "random_feature_mmd", lambda a, b, unbiased=False: right(a, b))
    return _GRAM


def the_kernel_diagonal_is_called_unbiased(patch):
    right = distances.kernel_mmd
    patch.setattr(distances, "kernel_mmd", lambda a, b, w, unbiased=True: right(a, b, w, False))
    return "only_the_unbiased_distance_is_zero_in_mean"


def the_width_is_a_deviation(patch):
    right = distances.kernel_mmd
    patch.setattr(
        distances, "kernel_mmd", lambda a, b, width, unbiased=True: right(a, b, width**2, unbiased)
    )
    return _BOOK


def the_cross_term_counts_once(patch):
    right = distances.random_feature_mmd

    def once(a, b, unbiased=False):
        return right(a, b, unbiased) + a.mean(0) @ b.mean(0)

    patch.setattr(distances, "random_feature_mmd", once)
    return _GRAM


def the_null_swaps_the_sizes_of_groups(patch):
    def permuted(features, s, permutations=500, seed=0, unbiased=False):
        made, n = torch.Generator().manual_seed(seed), len(s)
        orders = [torch.arange(n)]
        orders += [torch.randperm(n, generator=made) for _ in range(permutations)]
        member = s[torch.stack(orders)].to(features)
        n1, n0 = n - s.sum().item(), s.sum().item()
        first, second = features.sum(0) - member @ features, member @ features
        return (second / n1 - first / n0).square().sum(1)

    patch.setattr(distances, "permuted_mmd", permuted)
    return _NULL


# --- bounds ---------------------------------------------------------------------------------------


def _class_bounds(patch, change, breaks=_BOUND):
    right = FairVAE._class_bounds
    patch.setattr(FairVAE, "_class_bounds", lambda model, z1: change(model, right(model, z1)))
    return breaks


def the_sum_over_classes_lacks_the_prior(patch):
    return _class_bounds(patch, lambda model, each: each - model.log_class)


def the_bound_lacks_the_prior_and_passes_the_likelihood(patch):
    return _class_bounds(patch, lambda model, each: each - model.log_class, _EXACT)


def classes_are_weighed_alike(patch):
    def one_draw(model, x, s, y):
        found = right(model, x, s, y)
        z1 = found["z1"]
        return found | {"kl": found["kl"] + 0 * z1.sum(1) + found["log_q"].mean(1)}

    right = FairVAE._one_draw
    patch.setattr(FairVAE, "_one_draw", one_draw)
    return _BOUND


def the_entropy_of_the_guess_is_missing(patch):
    right = FairVAE._one_draw

    def one_draw(model, x, s, y):
        found = right(model, x, s, y)
        log_q = found["log_q"]
        entropy = -(log_q.exp() * log_q).sum(1)
        return found | {"kl": found["kl"] + (entropy if y is None else 0)}

    patch.setattr(FairVAE, "_one_draw", one_draw)
    return _BOUND


def the_divergence_of_z1_is_missing(patch):
    right = FairVAE._one_draw

    def one_draw(model, x, s, y):
        found = right(model, x, s, y)
        return found | {"kl": found["kl"] - model._code_law(x, s).log_prob(found["z1"])}

    patch.setattr(FairVAE, "_one_draw", one_draw)
    return _BOUND


def the_decoder_does_not_see_the_group(patch):
    right = FairVAE._decoded
    patch.setattr(FairVAE, "_decoded", lambda model, x, s, z1: right(model, x, 0 * s, z1))
    return _BOUND


def the_encoder_does_not_see_the_group(patch):
    right = FairVAE._code_law
    patch.setattr(FairVAE, "_code_law", lambda model, x, s: right(model, x, 0 * s))
    return _BOUND


def a_label_is_ignored(patch):
    right = FairVAE._one_draw
    patch.setattr(FairVAE, "_one_draw", lambda model, x, s, y: right(model, x, s, None))
    return _BOUND


def unlabelled_rows_teach_the_classifier(patch):
    right = FairVAE._checked_label

    def checked(model, x, y):
        y = right(model, x, y)
        return None if y is None else y.clamp_min(0)

    patch.setattr(FairVAE, "_checked_label", checked)
    return _LOSS


def the_penalty_is_a_mean_over_rows(patch):
    right = distances.GroupMMD.forward
    patch.setattr(distances.GroupMMD, "forward", lambda p, z, s: right(p, z, s) / len(z))
    return _LOSS


# --- adversaries and critics ----------------------------------------------------------------------


def the_gradient_is_not_turned_round(patch):
    patch.setattr(_TurnedRound, "backward", staticmethod(lambda ctx, slope: slope))
    return "the_adversary_learns_what_the_code_unlearns"


def negatives_are_not_permuted(patch):
    patch.setattr(FlexiblyFairVAE, "permuted", lambda model, codes: codes)
    return _GAUSS


def attributes_are_permuted_together(patch):
    def permuted(model, codes):
        first = codes.shape[1] - model.attributes.dims
        row = torch.randperm(len(codes))
        return torch.cat((codes[:, :first], codes[row, first:]), 1)

    patch.setattr(FlexiblyFairVAE, "permuted", permuted)
    return _MIXED


def z_is_torn_apart(patch):
    def permuted(model, codes):
        columns = [c[torch.randperm(len(codes))] for c in codes.split(1, 1)]
        return torch.cat(columns, 1)

    patch.setattr(FlexiblyFairVAE, "permuted", permuted)
    return _MIXED


def the_penalty_moves_the_critic(patch):
    patch.setattr(FlexiblyFairVAE, "dependence", lambda model, codes: model.critic(codes)[:, 0])
    return _CRITIC


def the_estimate_has_the_wrong_sign(patch):
    right = FlexiblyFairVAE.dependence
    patch.setattr(FlexiblyFairVAE, "dependence", lambda model, codes: -right(model, codes))
    return _CRITIC


# --- gaps, laws, probes ---------------------------------------------------------------------------


def rates_are_divided_by_the_other_group(patch):
    def rates(decision, s, among=None):
        rows = torch.ones_like(s, dtype=torch.bool) if among is None else among
        n = int(s.max()) + 1
        sizes = torch.bincount(s[rows], minlength=n)
        yes = torch.bincount(s[rows], weights=decision[rows].double(), minlength=n)
        return yes / sizes.flip(0)

    patch.setattr(gaps, "selection_rates", rates)
    return _GAPS


def rates_are_divided_by_all(patch):
    right = gaps.selection_rates

    def rates(decision, s, among=None):
        rows = torch.ones_like(s, dtype=torch.bool) if among is None else among
        return right(decision, s, among) * torch.bincount(s[rows]) / len(s)

    patch.setattr(gaps, "selection_rates", rates)
    return _GAPS


def odds_look_at_one_class_only(patch):
    def odds(decision, s, y):
        rates = gaps.selection_rates(decision, s, y == 0)
        return (rates.max() - rates.min()).item()

    patch.setattr(gaps, "equalised_odds_gap", odds)
    return _GAPS


def the_price_has_the_wrong_sign_in_one_group(patch):
    right = KnownBias.best_thresholds
    patch.setattr(
        KnownBias,
        "best_thresholds",
        lambda law, price: (right(law, -price)[0], right(law, price)[1]),
    )
    return _LAW


def the_probe_learns_from_the_test_rows(patch):
    right = probes.sensitive_probe

    def probe(codes, s, test_codes, test_s, *args, **options):
        both = torch.cat((codes, test_codes)), torch.cat((s, test_s))
        return right(*both, test_codes, test_s, *args, **options)

    patch.setattr(probes, "sensitive_probe", probe)
    return _PROBE


def ties_count_as_won(patch):
    def areas(chance, groups, s):
        found = []
        for k in range(3):
            of_k, others = (s == k), (s != k)
            won = chance[:, k][:, None] >= chance[:, k][None]
            pairs = of_k[:, :, None] & others[:, None]
            found.append((won & pairs).sum((1, 2)) / pairs.sum((1, 2)))
        return torch.stack(found).double().mean(0)

    patch.setattr(probes, "_areas", areas)
    return "areas_are_those_of_scikit_learn"


FAULTS = (
    the_bandwidth_lacks_its_factor_two,
    the_bandwidth_is_turned_over,
    features_are_scaled_by_one_in_place_of_two,
    all_phases_are_zero,
    the_diagonal_counts_as_pairs,
    the_kernel_diagonal_is_called_unbiased,
    the_width_is_a_deviation,
    the_cross_term_counts_once,
    the_null_swaps_the_sizes_of_groups,
    the_sum_over_classes_lacks_the_prior,
    the_bound_lacks_the_prior_and_passes_the_likelihood,
    classes_are_weighed_alike,
    the_entropy_of_the_guess_is_missing,
    the_divergence_of_z1_is_missing,
    the_decoder_does_not_see_the_group,
    the_encoder_does_not_see_the_group,
    a_label_is_ignored,
    unlabelled_rows_teach_the_classifier,
    the_penalty_is_a_mean_over_rows,
    the_gradient_is_not_turned_round,
    negatives_are_not_permuted,
    attributes_are_permuted_together,
    z_is_torn_apart,
    the_penalty_moves_the_critic,
    the_estimate_has_the_wrong_sign,
    rates_are_divided_by_the_other_group,
    rates_are_divided_by_all,
    odds_look_at_one_class_only,
    the_price_has_the_wrong_sign_in_one_group,
    the_probe_learns_from_the_test_rows,
    ties_count_as_won,
)
