"""Faults of hierarchical VAEs: each plants itself and names the property it must break."""

import math

import torch

from dgm.hierarchical.inference import PrecisionWeighted, ResidualNormal
from dgm.hierarchical.layer import Inferred, Layer
from dgm.hierarchical.layer_gaussian import LayerGaussian
from dgm.hierarchical.top_down import TopDown

_KL, _WEIGHTS = "kl_in_closed_form_is_the_mean_log_ratio", "weights_average_to_the_probability"


def kl_is_a_mean_over_units(patch):
    def kl(q, p):
        change = q.log_var - p.log_var
        shift = (q.mean - p.mean).square() * (-p.log_var).exp()
        return 0.5 * (change.exp() + shift - 1 - change).flatten(1).mean(1)

    patch.setattr(LayerGaussian, "kl", kl)
    return _KL


def kl_with_the_sign_of_its_log_term_turned(patch):
    def kl(q, p):
        change = q.log_var - p.log_var
        shift = (q.mean - p.mean).square() * (-p.log_var).exp()
        return 0.5 * (change.exp() + shift - 1 + change).flatten(1).sum(1)

    patch.setattr(LayerGaussian, "kl", kl)
    return _KL


def kl_with_its_arguments_swapped(patch):
    right = LayerGaussian.kl
    patch.setattr(LayerGaussian, "kl", lambda q, p: right(p, q))
    return _KL


def kl_in_closed_form_of_a_layer_drawn_on_the_way_up(patch):
    """Its mean over the draw would hold with the layers above fixed; they were drawn given it."""
    right = Layer.infer

    def infer(level, h, d, drawn):
        found = right(level, h, d, drawn)
        if drawn is None:
            return found
        q_up, z_up = drawn
        p_up = level.prior(h).split(z_up.shape[1])[0]
        ratio = q_up.log_prob(z_up) - p_up.log_prob(z_up)
        return found._replace(kl=found.kl - ratio + q_up.kl(p_up))

    patch.setattr(Layer, "infer", infer)
    return "elbo_is_the_bound_with_one_draw"


def what_rose_is_not_charged_for(patch):
    def infer(level, h, d, drawn):
        p = level.prior(h)
        if drawn is None:
            q = level.posterior(h, d, p)
            z = q.draw()
            return Inferred(z, q.kl(p), q.log_prob(z) - p.log_prob(z))
        z_up = drawn[1]
        p_down = p.split(z_up.shape[1])[1]
        q = level.posterior(h, d, p_down)
        z = q.draw()
        return Inferred(torch.cat((z_up, z), 1), q.kl(p_down), q.log_prob(z) - p_down.log_prob(z))

    patch.setattr(Layer, "infer", infer)
    return _WEIGHTS


def the_state_takes_the_mean_and_not_the_draw(patch):
    """The decoder sees the posterior mean, the cost is that of the draw: no bound any more."""
    right = Layer.infer

    def infer(level, h, d, drawn):
        found = right(level, h, d, drawn)
        if drawn is not None:
            return found
        return found._replace(z=level.posterior(h, d, level.prior(h)).mean)

    patch.setattr(Layer, "infer", infer)
    return _WEIGHTS


def _descend(patch, state_of, returned="kl_of_a_layer_is_held_against_the_state_above_it"):
    """The downward pass with the prior held against another state than that above the layer."""

    def infer(model, x, from_prior=0):
        h, found, layers = model._start(len(x)), model._rise(x), []
        for level, (d, drawn) in zip(model.layers, found, strict=True):
            draw = level.infer(h, d, drawn)
            p = level.prior(state_of(model, level, h, draw.z))
            q = level.posterior(h, d, level.prior(h))
            layers.append(draw._replace(kl=q.kl(p)))
            h = level.update(h, draw.z)
        return h, layers

    patch.setattr(TopDown, "_infer", infer)
    return returned


def kl_against_the_prior_of_the_state_below(patch):
    def below(model, level, h, z):
        return level.update(h, z)

    return _descend(patch, below)


def kl_against_the_prior_with_no_state(patch):
    def nothing(model, level, h, z):
        return torch.zeros_like(h)

    return _descend(patch, nothing)


def draws_condition_on_the_state_at_the_top(patch):
    """Every prior is asked with a state that no draw has entered."""

    @torch.no_grad()
    def draw(model, n, *, temperature=1.0, fixed=(), generator=None):
        h, layers = model._start(n), list(fixed)
        empty = h
        for depth, level in enumerate(model.layers):
            if depth == len(layers):
                if empty.shape != h.shape:
                    empty = torch.zeros_like(h)
                layers.append(level.prior(empty).draw(temperature, generator))
            h = level.update(h, layers[depth])
        return layers

    patch.setattr(TopDown, "draw", draw)
    return "samples_follow_the_bound_with_many_draws"


def free_bits_leak_into_the_bound(patch):
    right = TopDown._parts

    def parts(model, x):
        reconstruction, kl = right(model, x)
        return reconstruction, kl.clamp_min(model.free_bits) if model.free_bits else kl

    patch.setattr(TopDown, "_parts", parts)
    return "bounds_know_nothing_of_the_settings_of_training"


def beta_leaks_into_the_bound(patch):
    right = TopDown._parts

    def parts(model, x):
        reconstruction, kl = right(model, x)
        return reconstruction, model.beta * kl

    patch.setattr(TopDown, "_parts", parts)
    return "bounds_know_nothing_of_the_settings_of_training"


def temperature_stays_in_the_densities(patch):
    """The last temperature is remembered, and log_prob uses it."""
    last, right = [1.0], LayerGaussian.draw

    def draw(law, temperature=1.0, generator=None):
        last[0] = temperature
        return right(law, temperature, generator)

    def log_prob(law, z):
        log_var = law.log_var + 2 * math.log(last[0])
        squared = (z - law.mean).square() * (-log_var).exp()
        return -0.5 * (squared + log_var + math.log(2 * math.pi)).flatten(1).sum(1)

    def stale(law, temperature=1.0, generator=None):
        return draw(law, temperature if temperature != 1.0 else last[0], generator)

    patch.setattr(LayerGaussian, "log_prob", log_prob)
    patch.setattr(LayerGaussian, "draw", stale)
    return "temperature_widens_the_draws_and_nothing_else"


def temperature_is_taken_of_the_variance(patch):
    right = LayerGaussian.draw
    patch.setattr(LayerGaussian, "draw", lambda law, t=1.0, g=None: right(law, t**0.5, g))
    return "temperature_widens_the_draws_and_nothing_else"


def fixed_layers_are_drawn_again(patch):
    right = TopDown.draw

    def draw(model, n, *, temperature=1.0, fixed=(), generator=None):
        return right(model, n, temperature=temperature, generator=generator)

    patch.setattr(TopDown, "draw", draw)
    return "fixed_layers_stay_and_the_others_are_drawn_given_them"


def a_merge_with_variances_for_precisions(patch):
    def forward(merge, h, d, prior):
        said = merge.head(d)
        weight = torch.sigmoid(said.log_var - prior.log_var)
        mean = weight * said.mean + (1 - weight) * prior.mean
        return prior._replace(mean=mean, log_var=torch.logaddexp(said.log_var, prior.log_var))

    patch.setattr(PrecisionWeighted, "forward", forward)
    return "merging_is_the_product_of_two_gaussians"


def a_residual_that_forgets_the_mean_of_the_prior(patch):
    def forward(merge, h, d, prior):
        change = merge.head(torch.cat((h, d), 1))
        return prior._replace(mean=change.mean, log_var=prior.log_var + change.log_var)

    patch.setattr(ResidualNormal, "forward", forward)
    return "the_cost_of_a_residual_is_that_of_its_change"


def a_residual_that_divides_by_its_factor(patch):
    def forward(merge, h, d, prior):
        change = merge.head(torch.cat((h, d), 1))
        mean, log_var = prior.mean + change.mean, prior.log_var - change.log_var
        return prior._replace(mean=mean, log_var=log_var)

    patch.setattr(ResidualNormal, "forward", forward)
    return "the_cost_of_a_residual_is_that_of_its_change"


def the_upper_bound_takes_the_wrong_layers_from_x(patch):
    """The k highest come from the prior, and the k lowest are not charged for."""

    def infer(model, x, from_prior=0):
        h, found, layers = model._start(len(x)), model._rise(x), []
        for depth, (level, (d, drawn)) in enumerate(zip(model.layers, found, strict=True)):
            layer = level.infer(h, d, drawn)
            z = layer.z if depth >= from_prior else level.prior(h).draw()
            if depth < len(model.layers) - from_prior:
                layers.append(layer)
            h = level.update(h, z)
        return h, layers

    patch.setattr(TopDown, "_infer", infer)
    return _WEIGHTS


def the_upper_bound_keeps_the_lowest_layers_of_x(patch):
    """All layers are inferred from x, the lowest k are just not charged for."""

    def infer(model, x, from_prior=0):
        h, found, layers = model._start(len(x)), model._rise(x), []
        for level, (d, drawn) in zip(model.layers, found, strict=True):
            layers.append(level.infer(h, d, drawn))
            h = level.update(h, layers[-1].z)
        return h, layers[: len(layers) - from_prior]

    patch.setattr(TopDown, "_infer", infer)
    return _WEIGHTS


FAULTS = [
    kl_is_a_mean_over_units, kl_with_the_sign_of_its_log_term_turned,
    kl_with_its_arguments_swapped, kl_in_closed_form_of_a_layer_drawn_on_the_way_up,
    what_rose_is_not_charged_for, the_state_takes_the_mean_and_not_the_draw,
    kl_against_the_prior_of_the_state_below, kl_against_the_prior_with_no_state,
    draws_condition_on_the_state_at_the_top, free_bits_leak_into_the_bound,
    beta_leaks_into_the_bound, temperature_stays_in_the_densities,
    temperature_is_taken_of_the_variance, fixed_layers_are_drawn_again,
    a_merge_with_variances_for_precisions, a_residual_that_forgets_the_mean_of_the_prior,
    a_residual_that_divides_by_its_factor, the_upper_bound_takes_the_wrong_layers_from_x,
    the_upper_bound_keeps_the_lowest_layers_of_x,
]  # fmt: skip
