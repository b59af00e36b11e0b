"""Faults of attacks and of generative classifiers: each names the property it must break."""

import torch

from dgm.robustness import analysis_by_synthesis as synthesis
from dgm.robustness import boundary_attack as walks
from dgm.robustness import class_conditional_flow as flows
from dgm.robustness import cw_l2 as slopes
from dgm.robustness import pgd_l2 as balls
from dgm.robustness.detector import LikelihoodDetector
from dgm.zoo import attacked
from dgm.zoo.studies import attacked_digits

_BALL, _LINE = (
    "pgd_stays_in_ball_and_box_and_finds_the_worst_of_a_linear_model",
    "both_attacks_find_the_distance_of_a_linear_model",
)
_STAYS, _BOX = "the_walk_never_leaves_the_wrong_side", "pictures_stay_in_the_box"
_ALARM, _QUANTILE = (
    "with_the_hinge_the_detector_stays_silent",
    "the_threshold_is_the_quantile_of_what_it_was_given",
)
_BAYES, _DENSITY = "the_posterior_is_bayes_rule_with_the_prior", "densities_of_classes_integrate"
_FILES, _MASSES = (
    "files_are_asked_in_whole_levels",
    "masses_of_integers_sum_to_one_with_learned_noise",
)
_RATE, _CODES = "pictures_wrong_before_have_no_distance", "bounds_have_the_slope_at_the_best_code"


# --- attacks ----------------------------------------------------------------------------------


def a_step_leaves_the_ball(patch):
    patch.setattr(balls, "_into_the_ball", lambda away, radius: away)
    return _BALL


def the_ball_is_that_of_the_largest_pixel(patch):
    patch.setattr(balls, "_into_the_ball", lambda away, radius: away.clamp(-radius, radius))
    return _BALL


def the_ball_is_that_of_the_sum(patch):
    def into(away, radius):
        length = away.flatten(1).abs().sum(1).clamp_min(1e-12)
        return away * (radius / length).clamp_max(1.0).view(-1, *[1] * (away.dim() - 1))

    patch.setattr(balls, "_into_the_ball", into)
    return _BALL


def distances_are_kept_in_the_largest_pixel(patch):
    def take(target, v, success):
        distance = (v - target.u).flatten(1).abs().amax(1)
        better = success & (distance < target.distance)
        target.nearest[better] = v[better]
        target.distance = torch.where(better, distance, target.distance)
        return distance

    patch.setattr(slopes._Target, "take", take)
    return _LINE


def the_last_success_is_kept_in_place_of_the_nearest(patch):
    def take(target, v, success):
        target.nearest[success] = v[success]
        target.distance = torch.where(success, 1.0, target.distance)

    patch.setattr(slopes._Target, "take", take)
    return _LINE


def the_margin_counts_its_own_class_among_the_others(patch):
    patch.setattr(slopes, "margins", lambda f, y: f.gather(1, y[:, None]).squeeze(1) - f.amax(1))
    return _LINE


def the_hinge_has_the_wrong_sign(patch):
    right = slopes._Target.hinge_and_success

    def turned(target, v):
        if target.extra is None:
            return right(target, v)
        hinge, success = right(
            slopes._Target(target.logits, target.u, target.y, target.kappa, None), v
        )
        alarm = target.extra(v)
        return hinge + (-alarm).clamp_min(0), success & (alarm >= 0)

    patch.setattr(slopes._Target, "hinge_and_success", turned)
    return _ALARM


def the_detector_is_left_out_of_success(patch):
    right = slopes._Target.hinge_and_success

    def only_class(target, v):
        plain = slopes._Target(target.logits, target.u, target.y, target.kappa, None)
        return right(plain, v)

    patch.setattr(slopes._Target, "hinge_and_success", only_class)
    return _ALARM


def the_walk_forgets_to_stay_wrong(patch):
    right = walks.boundary_attack

    def walk(wrong, u, starts, *args, **options):
        checked = [0]

        def careless(v):
            checked[0] += 1
            return torch.ones(len(v), dtype=torch.bool) if checked[0] > 40 else wrong(v)

        return right(careless, u, starts, *args, **options)

    patch.setattr(walks, "boundary_attack", walk)
    return _STAYS


def halving_keeps_the_right_side(patch):
    right = walks.to_the_boundary

    def flipped(wrong, u, v, halvings=10):
        return right(lambda w: ~wrong(w), u, v, halvings)

    patch.setattr(walks, "to_the_boundary", flipped)
    return _STAYS


def the_walk_leaves_the_box(patch):
    right = walks.boundary_attack
    patch.setattr(
        walks, "boundary_attack",
        lambda *a, low=0.0, high=1.0, **o: right(*a, low=low - 1, high=high + 1, **o),
    )  # fmt: skip
    return _BOX


def a_file_holds_what_it_is_given(patch):
    patch.setattr(attacked, "whole_levels", lambda u, levels: u)
    return _FILES


def a_file_has_one_level_more(patch):
    right = attacked.whole_levels
    patch.setattr(attacked, "whole_levels", lambda u, levels: right(u, levels + 1))
    return _FILES


def the_slope_stops_at_the_rounding(patch):
    def of_files(who, levels):
        def logits(u):
            return who.logits(attacked.whole_levels(u, levels)) + 0 * u[:, :2]

        return attacked.Attacked(who.name, logits)

    patch.setattr(attacked, "of_files", of_files)
    return _FILES


def what_the_noise_costs_is_left_out(patch):
    def elbo(model, x):
        return model.flow.log_prob(model.dequantize(x)[0])

    patch.setattr(flows.ClassFlowBound, "elbo", elbo)
    return _MASSES


def the_loss_forgets_what_the_noise_costs(patch):
    def loss(model, x, y=None):
        return model.flow.loss(model.dequantize(x)[0], y)

    patch.setattr(flows.ClassFlowBound, "loss", loss)
    return _MASSES


# --- detectors and rates ------------------------------------------------------------------------


def the_threshold_is_fitted_on_what_is_attacked(patch):
    right = attacked.attacked_pictures
    patch.setattr(attacked, "attacked_pictures", lambda name, part, n=None: right(name, "test", n))
    return "the_threshold_comes_from_validation_pictures"


def the_quantile_is_of_the_wrong_end(patch):
    def fit_to(detector, log_p):
        detector.threshold.copy_(torch.quantile(detector.score(log_p), 1 - detector.rate))

    patch.setattr(LikelihoodDetector, "fit_to", fit_to)
    return _QUANTILE


def the_score_is_of_the_least_likely_class(patch):
    patch.setattr(LikelihoodDetector, "score", staticmethod(lambda log_p: log_p.amin(1)))
    return _QUANTILE


def wrong_pictures_count_as_successes(patch):
    right = attacked_digits.listed
    patch.setattr(attacked_digits, "listed", lambda v, ok: right(v, torch.ones_like(ok)))
    return _RATE


# --- models ---------------------------------------------------------------------------------------


def bayes_rule_lacks_the_prior(patch):
    patch.setattr(flows.ClassFlow, "joint_log_prob", lambda model, x: model.class_log_prob(x))
    return _BAYES


def the_log_det_is_left_out(patch):
    def class_log_prob(model, x):
        return model.base.log_prob(model(x)[0])

    patch.setattr(flows.ClassFlow, "class_log_prob", class_log_prob)
    return _DENSITY


def the_norms_of_the_means_are_not_counted(patch):
    right = flows.ClassNormals.log_prob
    patch.setattr(
        flows.ClassNormals, "log_prob",
        lambda base, z: right(base, z) + 0.5 * base.shift.square().sum(1),
    )  # fmt: skip
    return _DENSITY


def the_free_half_has_no_density(patch):
    right = flows.ClassNormals.log_prob

    def forgotten(base, z):
        return right(base, z) + 0.5 * z[:, : base.free].square().sum(1, keepdim=True)

    patch.setattr(flows.ClassNormals, "log_prob", forgotten)
    return _DENSITY


def the_slope_is_cut_off(patch):
    right = synthesis.AnalysisBySynthesis.bounds
    patch.setattr(
        synthesis.AnalysisBySynthesis, "bounds",
        lambda model, u: right(model, u.detach()) + 0 * u.sum(),
    )  # fmt: skip
    return _CODES


def codes_are_not_searched(patch):
    def first(model, u):
        return model.starts[:1].expand(model.labels.levels, len(u), -1)

    patch.setattr(synthesis.AnalysisBySynthesis, "best_codes", first)
    return "the_search_is_as_good_as_a_fine_grid"


FAULTS = (
    a_step_leaves_the_ball,
    the_ball_is_that_of_the_largest_pixel,
    the_ball_is_that_of_the_sum,
    distances_are_kept_in_the_largest_pixel,
    the_last_success_is_kept_in_place_of_the_nearest,
    the_margin_counts_its_own_class_among_the_others,
    the_hinge_has_the_wrong_sign,
    the_detector_is_left_out_of_success,
    the_walk_forgets_to_stay_wrong,
    halving_keeps_the_right_side,
    the_walk_leaves_the_box,
    a_file_holds_what_it_is_given,
    a_file_has_one_level_more,
    the_slope_stops_at_the_rounding,
    what_the_noise_costs_is_left_out,
    the_loss_forgets_what_the_noise_costs,
    the_threshold_is_fitted_on_what_is_attacked,
    the_quantile_is_of_the_wrong_end,
    the_score_is_of_the_least_likely_class,
    wrong_pictures_count_as_successes,
    bayes_rule_lacks_the_prior,
    the_log_det_is_left_out,
    the_norms_of_the_means_are_not_counted,
    the_free_half_has_no_density,
    the_slope_is_cut_off,
    codes_are_not_searched,
)
