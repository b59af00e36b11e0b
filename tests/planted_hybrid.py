"""Faults of hybrid models: each plants itself and names the property it must break."""

import torch
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy, one_hot

from dgm.data import turned_digits
from dgm.hybrid.diva import DIVA, LabelGaussians
from dgm.hybrid.hybrid_flow import HybridBound, HybridFlow
from dgm.hybrid.hybrid_vae import HybridVAE
from dgm.hybrid.m2 import M2
from dgm.hybrid.semi_supervised import SemiSupervised

_MASS = "classes_and_places_add_up_to_one"
_BINS = "bounds_of_bins_average_to_their_mass"
_WEIGHT = "the_weight_multiplies_log_x_and_nothing_else"
_BATCH = "all_classes_in_one_batch_equal_a_loop"
_JOINT = "weights_of_a_labelled_picture_average_to_its_law"
_BOUND = "the_unlabelled_bound_is_the_mean_over_classes_and_their_entropy"
_TIGHT = "importance_weights_average_to_the_law_of_x"
_SHARES = "labelled_and_unlabelled_have_their_shares"
_HIDDEN = "labels_that_are_hidden_stay_hidden"
_CODES = "weights_of_three_codes_average_to_the_law"


def the_weight_is_on_the_class(patch):
    def loss(model, x, y=None):
        terms = model.terms(x, y)
        if y is None:
            return -terms["log_x"]
        return -model.weight * terms["log_y"] - terms["log_x"]

    patch.setattr(HybridFlow, "loss", loss)
    return _WEIGHT


def the_weight_moves_the_density(patch):
    def log_prob(model, x):
        return model.weight * model._sides(x)[1]

    patch.setattr(HybridFlow, "log_prob", log_prob)
    return _WEIGHT


def logits_are_taken_for_log_probabilities(patch):
    def joint_log_prob(model, x):
        logits, log_x = model._sides(x)
        return logits + log_x[:, None]

    patch.setattr(HybridFlow, "joint_log_prob", joint_log_prob)
    return _MASS


def the_noise_fills_half_a_bin(patch):
    right = HybridBound.dequantize

    def dequantize(model, x):
        v, log_q = right(model, x)
        return x + 0.5 * (v - x), log_q

    patch.setattr(HybridBound, "dequantize", dequantize)
    return _BINS


def the_class_is_read_off_another_noise(patch):
    """Two draws of the noise, one for each term: their product no longer averages to P(x, y)."""

    def joint_elbo(model, x, y):
        logits, _ = model._noisy_sides(x)
        return model.elbo(x) - cross_entropy(logits, y, reduction="none")

    patch.setattr(HybridBound, "joint_elbo", joint_elbo)
    return _BINS


def classes_are_off_by_one(patch):
    right = M2.joint_elbo

    def joint_elbo(model, x, y=None):
        found = right(model, x, y)
        return found if y is not None else found.roll(1, 1)

    patch.setattr(M2, "joint_elbo", joint_elbo)
    return _BATCH


def rows_are_repeated_in_the_wrong_order(patch):
    def joint_elbo(model, x, y=None):
        h = model.trunk(model._scaled(x))
        eps = model._noise(h)
        if y is not None:
            return model._log_weights(x, h, y, eps)
        k = model.labels.levels
        every = torch.arange(k).repeat(len(x))
        many = (x.repeat(k, *[1] * (x.ndim - 1)), h.repeat(k, 1))
        return model._log_weights(*many, every, eps.repeat(k, 1)).view(len(x), k)

    patch.setattr(M2, "joint_elbo", joint_elbo)
    return _BATCH


def the_label_prior_is_dropped(patch):
    right = M2._log_weights

    def log_weights(model, x, h, y, eps):
        return right(model, x, h, y, eps) - model.log_class[y]

    patch.setattr(M2, "_log_weights", log_weights)
    return _JOINT


def the_encoder_does_not_see_the_class(patch):
    """The law of z is asked of a code whose class is hidden, its draw of one that shows it."""

    def log_weights(model, x, h, y, eps):
        shown = one_hot(y, model.labels.levels).to(h)
        z = model.encoder(torch.cat((h, shown), 1)).from_noise(eps)
        blind = model.encoder(torch.cat((h, torch.zeros_like(shown)), 1))
        log_x = model.decoder(torch.cat((z, shown), 1)).log_prob(x)
        return log_x + model.log_class[y] + model.z_prior.log_prob(z) - blind.log_prob(z)

    patch.setattr(M2, "_log_weights", log_weights)
    return _JOINT


def the_entropy_has_the_wrong_sign(patch):
    def elbo(model, x):
        terms = model.terms(x)
        return terms["labelled"] - terms["entropy"]

    patch.setattr(M2, "elbo", elbo)
    return _BOUND


def the_likeliest_class_stands_for_all(patch):
    def elbo(model, x):
        return model.joint_elbo(x, model.posterior(x).logits.argmax(1))

    patch.setattr(M2, "elbo", elbo)
    return _BOUND


def importance_weights_forget_the_classifier(patch):
    def iw_bound(model, x, k):
        u = model._scaled(x)
        q = Categorical(logits=model.classifier(u))
        y, h = q.sample((k,)), model.trunk(u).repeat(k, 1)
        many = x.repeat(k, *[1] * (x.ndim - 1))
        log_w = model._log_weights(many, h, y.flatten(), model._noise(h)).view(k, -1)
        return log_w.logsumexp(0) - torch.tensor(float(k)).log()

    patch.setattr(M2, "iw_bound", iw_bound)
    return _TIGHT


def classes_asked_for_are_ignored(patch):
    right = M2.sample
    patch.setattr(M2, "sample", lambda model, n, *, y=None, generator=None: right(model, n))
    return "draws_follow_the_class_asked_for"


def alpha_is_scaled_by_the_labelled(patch):
    def loss(semi, x, x_labelled, y):
        logits = semi.model.posterior(x_labelled).logits
        of_class = semi.share * semi.labelled * cross_entropy(logits, y, reduction="none")
        bound = semi.labelled * semi.model.joint_elbo(x_labelled, y)
        return of_class - bound - (1 - semi.labelled) * semi.model.elbo(x)

    patch.setattr(SemiSupervised, "loss", loss)
    return _SHARES


def both_bounds_weigh_the_same(patch):
    def loss(semi, x, x_labelled, y):
        logits = semi.model.posterior(x_labelled).logits
        of_class = semi.share * cross_entropy(logits, y, reduction="none")
        return of_class - semi.model.joint_elbo(x_labelled, y) - semi.model.elbo(x)

    patch.setattr(SemiSupervised, "loss", loss)
    return _SHARES


def hidden_labels_leak(patch):
    def rows(semi, x, y, chosen):
        return x, x, y

    patch.setattr(SemiSupervised, "rows", rows)
    return _HIDDEN


def labelled_pictures_count_twice(patch):
    right = SemiSupervised.rows

    def rows(semi, x, y, chosen):
        _, again, known = right(semi, x, y, chosen)
        return x[: len(again)], again, known

    patch.setattr(SemiSupervised, "rows", rows)
    return _HIDDEN


def alpha_is_on_the_reconstruction(patch):
    def loss(model, x, y=None):
        terms = model.terms(x, y)
        bound = terms["kl"] - model.weight * terms["reconstruction"]
        return bound if y is None else bound - terms["log_y"]

    patch.setattr(HybridVAE, "loss", loss)
    return "alpha_multiplies_the_class_and_nothing_else"


def domain_and_class_codes_are_swapped(patch):
    right = DIVA.terms

    def terms(model, x, y=None, d=None):
        parts, heads = model.prior.parts, (model.domain_head, model.class_head)
        model.domain_head, model.class_head = heads[1], heads[0]
        z_d, z_x, z_y = parts
        model.prior.parts = torch.nn.ModuleList((z_y, z_x, z_d))
        try:
            return right(model, x, d, y)
        finally:
            model.prior.parts, (model.domain_head, model.class_head) = parts, heads

    patch.setattr(DIVA, "terms", terms)
    return _CODES


def the_mixture_lacks_the_number_of_classes(patch):
    right = LabelGaussians.joint_log_prob

    def joint_log_prob(prior, z):
        return right(prior, z) + torch.tensor(float(prior.labels.levels)).log()

    patch.setattr(LabelGaussians, "joint_log_prob", joint_log_prob)
    return _CODES


def heads_read_the_whole_code(patch):
    """The classifier of the domain sees the code of the class: nothing keeps them apart."""
    right = DIVA.terms

    def terms(model, x, y=None, d=None):
        found = right(model, x, y, d)
        if d is not None:
            z_d, _, z_y = model.posterior(x).rsample().split(model.dims, 1)
            found["log_d"] = -cross_entropy(model.domain_head(z_d + z_y), d, reduction="none")
        return found

    patch.setattr(DIVA, "terms", terms)
    return "each_head_teaches_its_own_encoder_alone"


def digits_are_turned_the_other_way(patch):
    right = turned_digits.turned
    patch.setattr(turned_digits, "turned", lambda x, angle, levels=17: right(x, -angle, levels))
    return "four_quarter_turns_are_none"


FAULTS = (
    the_weight_is_on_the_class, the_weight_moves_the_density,
    logits_are_taken_for_log_probabilities, the_noise_fills_half_a_bin,
    the_class_is_read_off_another_noise, classes_are_off_by_one,
    rows_are_repeated_in_the_wrong_order, the_label_prior_is_dropped,
    the_encoder_does_not_see_the_class, the_entropy_has_the_wrong_sign,
    the_likeliest_class_stands_for_all, importance_weights_forget_the_classifier,
    classes_asked_for_are_ignored, alpha_is_scaled_by_the_labelled, both_bounds_weigh_the_same,
    hidden_labels_leak, labelled_pictures_count_twice, alpha_is_on_the_reconstruction,
    domain_and_class_codes_are_swapped, the_mixture_lacks_the_number_of_classes,
    heads_read_the_whole_code, digits_are_turned_the_other_way,
)  # fmt: skip
