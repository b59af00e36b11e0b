"""Faults of what measures claims and costs of drawing: each names the property it must break."""

import time

import torch

import dgm.measure.drawing_cost as cost

_CLAIM = "what_a_model_offers_is_the_strongest_of_its_methods"
_RUNS = "the_runs_of_the_network_are_counted_and_nothing_is_left_behind"
_SHARE = "a_small_schedule_does_not_decide"
_SECONDS = "seconds_are_the_least_of_the_repeats_and_of_the_processor"
_SLOPE = "the_exponent_of_a_power_is_found"
_SCORE = "the_class_score_is_known_for_certain_and_for_equal_draws"


def a_bound_is_called_exact(patch):
    right = cost.likelihood_of
    patch.setattr(cost, "likelihood_of", lambda m: right(m).replace("bound", "exact"))
    return _CLAIM


def draws_come_before_probabilities(patch):
    right = cost.likelihood_of
    patch.setattr(cost, "likelihood_of", lambda m: "none" if hasattr(m, "sample") else right(m))
    return _CLAIM


def a_flow_inside_an_estimator_is_not_seen(patch):
    right = cost.likelihood_of
    patch.setattr(cost, "likelihood_of", lambda m: right(m).split(",")[0])
    return _CLAIM


def hooks_stay(patch):
    patch.setattr(torch.utils.hooks.RemovableHandle, "remove", lambda self: None)
    return _RUNS


def runs_of_all_parts_are_added(patch):
    right = cost.evaluations

    def added(model, draw):
        parts = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
        return right(model, draw) * len(parts)

    patch.setattr(cost, "evaluations", added)
    return _RUNS


def every_schedule_decides(patch):
    patch.setattr(cost, "LEAST_SHARE", 0.0)
    return _SHARE


def only_what_holds_most_decides(patch):
    patch.setattr(cost, "LEAST_SHARE", 0.6)
    return _SHARE


def the_clock_on_the_wall(patch):
    patch.setattr(time, "process_time", time.perf_counter)
    return _SECONDS


def the_first_repeat_counts(patch):
    right = cost.processor_seconds
    patch.setattr(cost, "processor_seconds", lambda draw, repeats=1: right(draw, 1))
    return _SECONDS


def size_against_cost(patch):
    right = cost.growth
    patch.setattr(cost, "growth", lambda sizes, costs: right(costs, sizes))
    return _SLOPE


def the_slope_without_logarithms(patch):
    patch.setattr(cost.math, "log", lambda number: number)
    return _SLOPE


def the_divergence_is_turned_round(patch):
    right = cost.class_score
    patch.setattr(cost, "class_score", lambda logits: 1 / right(logits))
    return _SCORE


def the_middle_law_of_logits(patch):
    def score(logits):
        log_p = logits.double().log_softmax(1)
        return (log_p.exp() * (log_p - log_p.mean(0))).sum(1).mean().exp().item()

    patch.setattr(cost, "class_score", score)
    return _SCORE


FAULTS = [
    a_bound_is_called_exact, draws_come_before_probabilities,
    a_flow_inside_an_estimator_is_not_seen, hooks_stay, runs_of_all_parts_are_added,
    every_schedule_decides, only_what_holds_most_decides, the_clock_on_the_wall,
    the_first_repeat_counts, size_against_cost, the_slope_without_logarithms,
    the_divergence_is_turned_round, the_middle_law_of_logits,
]  # fmt: skip
