"""Faults of outlier scores: each plants itself and names the property it must break."""

import math

import torch

from dgm import data
from dgm.data import outlier_sets as sets
from dgm.measure.auroc import auroc
from dgm.outlier import biased_bits, class_scores, doubt, input_complexity, regret, upper_layers
from dgm.outlier import likelihood_ratio as ratios
from dgm.outlier import second_moment as moment
from dgm.outlier.typicality import Typicality
from dgm.zoo import outlier
from dgm.zoo.studies import clothes_scores as study

_GAP, _WORLD = (
    "the_foretold_gap_of_a_gaussian_is_the_measured_one", "the_world_is_that_of_all_its_states",
)  # fmt: skip
_SIDES = "batches_are_refused_on_either_side"
_LIMIT = "the_threshold_comes_from_validation_batches"
_RATIO = "the_ratio_is_of_two_models_and_maps_add_up"
_RATE = "mutated_pixels_are_drawn_anew_at_the_rate"
_DEFLATE = "deflated_lengths_are_bits_of_the_best_filter"
_ADAPTIVE = "adaptive_lengths_are_those_of_coding_pixel_by_pixel"
_SUMS = "scores_are_sums_over_pixels_and_alike_for_every_set"


def outliers_count_as_inside(patch):
    right = auroc
    patch.setattr(study, "auroc", lambda inside, outside: right(outside, inside))
    return "areas_are_one_where_outsiders_score_lower"


def areas_compare_with_validation_pictures(patch):
    right = study.areas
    patch.setattr(study, "areas", lambda s, *more: right(s | {"test": s["validation"]}, *more))
    return "areas_are_one_where_outsiders_score_lower"


def the_ratio_takes_one_model_twice(patch):
    patch.setattr(ratios.LikelihoodRatio, "forward",
                  lambda self, x: self.model.log_prob(x) - self.model.log_prob(x))  # fmt: skip
    return _RATIO


def equal_weights_are_no_matter(patch):
    def init(self, model, background):
        torch.nn.Module.__init__(self)
        self.model, self.background = model, background

    patch.setattr(ratios.LikelihoodRatio, "__init__", init)
    return _RATIO


def the_map_is_of_the_model_alone(patch):
    patch.setattr(ratios.LikelihoodRatio, "map", lambda self, x: self.model.place_terms(x))
    return _RATIO


def pixels_are_kept_at_the_rate(patch):
    def call(self, x, step):
        new = torch.randint(self.levels, x.shape).to(x)
        return torch.where(torch.rand(x.shape) < self.rate, x, new)

    patch.setattr(ratios.MutatedPixels, "__call__", call)
    return _RATE


def new_pixels_are_never_white(patch):
    def call(self, x, step):
        new = torch.randint(self.levels - 1, x.shape).to(x)
        return torch.where(
            torch.rand(x.shape) < self.rate * self.levels / (self.levels - 1), new, x
        )

    patch.setattr(ratios.MutatedPixels, "__call__", call)
    return _RATE


def typicality_looks_at_one_side(patch):
    patch.setattr(Typicality, "distance", lambda self, nats: nats.double().mean(-1) - self.entropy)
    return _SIDES


def typicality_takes_the_sum_of_a_batch(patch):
    patch.setattr(Typicality, "distance",
                  lambda self, nats: (nats.double().sum(-1) - self.entropy).abs())  # fmt: skip
    return _SIDES


def the_threshold_is_of_training_pictures(patch):
    right = Typicality.__init__
    patch.setattr(Typicality, "__init__", lambda self, train, val: right(self, train, train + 0.1))
    return _LIMIT


def the_threshold_is_of_single_pictures(patch):
    right = Typicality.threshold
    patch.setattr(Typicality, "threshold", lambda self, m, *rest: right(self, 1, *rest))
    return _LIMIT


def alpha_is_counted_from_the_other_end(patch):
    right = Typicality.threshold
    patch.setattr(Typicality, "threshold",
                  lambda self, m, alpha, *rest: right(self, m, 1 - alpha, *rest))  # fmt: skip
    return _LIMIT


def complexity_is_in_bytes(patch):
    right = input_complexity.deflate_bits
    patch.setattr(input_complexity, "deflate_bits", lambda x: right(x) / 8)
    return _DEFLATE


def complexity_sees_the_pictures_before(patch):
    right = input_complexity.deflate_bits
    patch.setattr(input_complexity, "deflate_bits", lambda x: right(x).cumsum(0).flip(0))
    return _DEFLATE


def contexts_share_their_total(patch):
    right = input_complexity._neighbours
    patch.setattr(
        input_complexity, "_neighbours", lambda x: (right(x)[0], right(x)[0], right(x)[0])
    )
    return _ADAPTIVE


def nats_and_bits_are_added(patch):
    patch.setattr(input_complexity, "excess_bits", lambda log_p, code: log_p + code)
    return "excess_is_counted_in_bits"


def waic_adds_the_variance(patch):
    patch.setattr(doubt, "waic", lambda log_p: log_p.mean(0) + log_p.var(0))
    return "waic_is_the_mean_less_the_variance"


def waic_divides_by_k(patch):
    patch.setattr(doubt, "waic", lambda log_p: log_p.mean(0) - log_p.var(0, correction=0))
    return "waic_is_the_mean_less_the_variance"


def the_regret_draws_new_noise_at_every_step(patch):
    right = regret._bound

    def bound(model, x, mean, log_var, eps):
        return right(model, x, mean, log_var, torch.randn_like(eps[:1]).expand_as(eps))

    patch.setattr(regret, "_bound", bound)
    return "regret_is_what_the_posterior_had_lost"


def the_regret_forgets_the_kl(patch):
    def bound(model, x, mean, log_var, eps):
        z = mean + (0.5 * log_var).exp() * eps
        return model.likelihood(z.flatten(0, 1)).log_prob(x.repeat(len(eps), 1)).view(
            len(eps), -1).mean(0)  # fmt: skip

    patch.setattr(regret, "_bound", bound)
    return "regret_is_what_the_posterior_had_lost"


def the_upper_bound_leaves_one_more_layer_out(patch):
    right = upper_layers.upper_bound
    patch.setattr(upper_layers, "upper_bound", lambda m, x, k, n=4: right(m, x, min(k + 1, 1), n))
    return "the_upper_bound_lacks_what_the_low_layers_say"


def the_free_energy_is_the_largest_logit(patch):
    patch.setattr(class_scores, "free_energy_score", lambda logits: logits.amax(1))
    return "class_scores_are_those_by_hand"


def moments_leave_out_the_mean(patch):
    right = moment.moments
    patch.setattr(moment, "moments", lambda u: moment.Moments(0 * u[0], right(u).covariance))
    return _GAP


def moments_divide_by_one_less(patch):
    patch.setattr(moment, "moments", lambda u: moment.Moments(u.mean(0), u.T.cov()))
    return _GAP


def the_gap_has_the_wrong_sign(patch):
    right = moment.foretold_gap
    patch.setattr(moment, "foretold_gap", lambda s, b, at, p, q: right(s, b, at, q, p))
    return _GAP


def the_world_counts_each_kind_once(patch):
    right = biased_bits.BiasedBits.__init__

    def init(self, dims, rate):
        right(self, dims, rate)
        self.mass = (-self.nats).softmax(0)

    patch.setattr(biased_bits.BiasedBits, "__init__", init)
    return _WORLD


def the_typical_set_is_one_sided(patch):
    def mass(self, width):
        return self.mass[self.nats - self.entropy <= width].sum()

    patch.setattr(biased_bits.BiasedBits, "typical_mass", mass)
    return _WORLD


def pixels_are_averaged(patch):
    right = study.log_probs
    patch.setattr(study, "log_probs", lambda model, x, *more: right(model, x, *more) / 784)
    return _SUMS


def each_set_has_its_own_noise(patch):
    right = study.log_probs
    patch.setattr(study, "log_probs", lambda m, x, n=1: right(m, x, n, seed=int(x.sum()) + 1))
    return _SUMS


def scores_are_standardised_by_their_batch(patch):
    right = study.log_probs
    patch.setattr(study, "log_probs", lambda m, x, *more: right(m, x, *more)
                  - right(m, x, *more).mean())  # fmt: skip
    return "a_score_does_not_depend_on_the_other_pictures"


def training_takes_the_first_pictures(patch):
    def first():
        official = data.load("fashion_mnist")
        return torch.cat((official.train, official.val))[:1600]

    patch.setattr(outlier, "fashion_training", first)
    return "no_measured_picture_is_trained_on"


def digits_are_padded_anew(patch):
    right = sets.mnist_test

    class Padded:
        def __init__(self):
            self.test = torch.nn.functional.pad(right().test[..., 2:-2, 2:-2], (1, 3, 1, 3))

    patch.setattr(sets, "mnist_test", Padded)
    return "all_sets_are_pictures_of_one_size_as_stored"


def nats_of_a_shell_lack_half_the_dimensions(patch):
    right = biased_bits.BiasedBits.spread.fget
    patch.setattr(biased_bits.BiasedBits, "spread", property(lambda s: right(s) / math.sqrt(2)))
    return _WORLD


FAULTS = tuple(
    fault for name, fault in list(globals().items())
    if callable(fault) and getattr(fault, "__module__", "") == __name__ and name[0] != "_"
)  # fmt: skip
