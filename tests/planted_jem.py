"""Faults of classifiers as energies: each plants itself and names the property it must break."""

import torch
from torch import nn

from dgm.jem.class_gaussians import ClassGaussians
from dgm.jem.joint_energy import JointEnergyModel
from dgm.jem.langevin_replay import LangevinReplay
from dgm.measure import auroc as areas
from dgm.measure import calibration
from dgm.measure import pgd as attack
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.train import guarded
from dgm.zoo.studies import joint_calibration, joint_or_plain

_LOSS = "the_loss_has_the_gradient_of_the_joint_likelihood"
_WALK, _CHAINS = "a_walk_has_the_variance_of_its_steps", "chains_go_on_and_some_begin_anew"
_ECE, _AREA = "the_calibration_error_is_that_of_the_definition", "the_area_counts_pairs"
_BALL = "an_attack_stays_in_its_box_and_is_the_best_there"
_BACK = "a_run_that_goes_wrong_goes_back_and_on"


def the_sum_runs_over_the_batch(patch):
    def log_g(model, u, y=None):
        return model.logits(u).logsumexp(0, keepdim=True).expand(len(u), -1)[:, 0]

    patch.setattr(JointEnergyModel, "log_g", log_g)
    return "energy_is_minus_the_log_sum_over_classes"


def the_energy_is_the_largest_logit(patch):
    patch.setattr(JointEnergyModel, "log_g", lambda m, u, y=None: m.logits(u).amax(1))
    return "energy_is_minus_the_log_sum_over_classes"


def the_base_is_added_to_one_class_only(patch):
    def logits(model, u):
        f = model.net(u)
        return torch.cat((f[:, :1] + model.chains.start.log_prob(u)[:, None], f[:, 1:]), 1)

    patch.setattr(JointEnergyModel, "logits", logits)
    return "what_all_logits_share_moves_no_class"


def the_contrast_has_the_wrong_sign(patch):
    right = JointEnergyModel._contrast
    patch.setattr(JointEnergyModel, "_contrast", lambda m, x: (right(m, x)[0], -right(m, x)[1]))
    return _LOSS


def the_negatives_are_counted_by_their_largest_logit(patch):
    def contrast(model, x):
        u = model._scaled(x)
        f, g = model.logits(u), model.logits(model.chains(model.log_g))
        return f, g.amax(1).mean() - f.logsumexp(1)

    patch.setattr(JointEnergyModel, "_contrast", contrast)
    return _LOSS


def the_directions_of_a_class_are_forgotten(patch):
    right = ClassGaussians.log_prob

    def log_prob(start, u):
        kept, start.factor = start.factor, 0 * start.factor
        found = right(start, u)
        start.factor = kept
        return found

    patch.setattr(ClassGaussians, "log_prob", log_prob)
    return "the_law_of_departure_is_a_mixture_of_gaussians"


def _walk(patch, drift, noise):
    def walk(chains, log_g, u, steps, generator=None):
        a = chains.step_size
        for _ in range(steps):
            e = torch.randn(u.shape, generator=generator).to(u)
            u = u + drift(a) * chains.slope(log_g, u) + noise(a, chains.temperature) * e
            u = u.clamp(-chains.box, chains.box)
        return u

    patch.setattr(LangevinReplay, "walk", walk)
    return _WALK


def the_noise_has_its_variance_for_a_deviation(patch):
    return _walk(patch, lambda a: a / 2, lambda a, t: a * t)


def the_walk_takes_whole_steps(patch):
    return _walk(patch, lambda a: a, lambda a, t: (a * t) ** 0.5)


def the_walk_goes_downhill(patch):
    return _walk(patch, lambda a: -a / 2, lambda a, t: (a * t) ** 0.5)


def the_store_is_never_refreshed(patch):
    right = LangevinReplay.__init__

    def init(chains, *args, **options):
        right(chains, *args, **options)
        chains.fresh = 0.0

    patch.setattr(LangevinReplay, "__init__", init)
    return _CHAINS


def every_chain_begins_anew(patch):
    def forward(chains, log_g):
        return chains.walk(log_g, chains.begin(chains.n_chains), chains.steps)

    patch.setattr(LangevinReplay, "forward", forward)
    return _CHAINS


def the_store_moves_in_eval_mode(patch):
    right = LangevinReplay.forward

    def forward(chains, log_g):
        chains.training = True
        return right(chains, log_g)

    patch.setattr(LangevinReplay, "forward", forward)
    return _CHAINS


def draws_ignore_the_class(patch):
    right = JointEnergyModel.log_g
    patch.setattr(JointEnergyModel, "log_g", lambda m, u, y=None: right(m, u))
    return "draws_of_a_class_climb_its_own_logit"


def the_noise_is_taken_off_at_its_deviation(patch):
    def denoise(model, u, y=None):
        return u + model.noise * model.chains.slope(lambda v: model.log_g(v, y), u)

    patch.setattr(JointEnergyModel, "denoise", denoise)
    return "denoising_gives_the_mean_before_the_noise"


def batch_statistics_in_the_sampler(patch):
    right = SmoothConvNet.forward

    def forward(net, u):
        return right(net, (u - u.mean(0)) if len(u) > 1 else u)

    patch.setattr(SmoothConvNet, "forward", forward)
    return "no_example_sees_its_batch"


def bins_count_alike(patch):
    def error(bins):
        seen = bins.count > 0
        return (bins.accuracy - bins.confidence).abs()[seen].mean().item()

    patch.setattr(calibration.Reliability, "error", error)
    return _ECE


def bins_are_closed_on_the_wrong_side(patch):
    right = calibration.reliability

    def reliability(p, y, n_bins=15):
        return right(p.double() + 2e-6 * torch.eye(p.shape[1])[p.argmax(1)], y, n_bins)

    patch.setattr(calibration, "reliability", reliability)
    return _ECE


def the_null_uses_the_labels_that_are_likeliest(patch):
    def null(p, n_bins=15, repeats=200, seed=0):
        return torch.full((repeats,), calibration.calibration_error(p, p.argmax(1), n_bins))

    patch.setattr(calibration, "calibration_null", null)
    return _ECE


def the_temperature_is_turned_over(patch):
    right = calibration.best_temperature
    patch.setattr(calibration, "best_temperature", lambda f, y: 1 / right(f, y))
    return "the_temperature_is_found"


def the_area_is_flipped(patch):
    right = areas.auroc
    patch.setattr(areas, "auroc", lambda a, b: right(b, a))
    return _AREA


def ties_count_whole(patch):
    def auroc(a, b):
        wins = (a[:, None] >= b).double()
        return areas.Area(wins.mean().item(), 0.04)

    patch.setattr(areas, "auroc", auroc)
    return _AREA


def the_attack_leaves_its_box(patch):
    right = attack.pgd
    patch.setattr(attack, "pgd", lambda f, u, r, *a, **k: right(f, u, 1.5 * r, *a, **k))
    return _BALL


def the_attack_returns_its_last_point_downhill(patch):
    right = attack.pgd
    patch.setattr(attack, "pgd", lambda f, u, r, *a, **k: right(lambda v: -f(v), u, r, *a, **k))
    return _BALL


def the_probe_is_fitted_on_test_codes(patch):
    right = joint_or_plain.probes

    class Swapped:
        def __init__(self, digits):
            self.train = self.test = digits.test
            self.train_y = self.test_y = digits.test_y

    patch.setattr(joint_or_plain, "probes", lambda m, digits: right(m, Swapped(digits)))
    return "probes_are_scored_on_codes_they_have_not_seen"


def the_energy_apart_keeps_that_of_the_classes(patch):
    def forward(model, u):
        out = model.net(u)
        return out[:, :-1] + out[:, -1:]

    patch.setattr(joint_calibration.EnergyApart, "forward", forward)
    return "an_energy_apart_pulls_at_no_class"


def the_first_labels_are_taken(patch):
    patch.setattr(joint_calibration, "few_labels", lambda y, n, *_: torch.arange(n))
    return "a_study_of_few_labels_sees_no_others"


def a_run_goes_on_with_bad_weights(patch):
    patch.setattr(guarded._Good, "restore", lambda good, run: None)
    patch.setattr(guarded, "_went_well", lambda run, losses, most: True)
    return _BACK


def a_run_begins_its_chains_with_old_ones(patch):
    right = nn.Module.modules
    patch.setattr(
        nn.Module, "modules", lambda m: (x for x in right(m) if not hasattr(x, "restart"))
    )
    return _BACK


FAULTS = [
    the_sum_runs_over_the_batch, the_energy_is_the_largest_logit,
    the_base_is_added_to_one_class_only, the_contrast_has_the_wrong_sign,
    the_negatives_are_counted_by_their_largest_logit, the_directions_of_a_class_are_forgotten,
    the_noise_has_its_variance_for_a_deviation, the_walk_takes_whole_steps,
    the_walk_goes_downhill, the_store_is_never_refreshed, every_chain_begins_anew,
    the_store_moves_in_eval_mode, draws_ignore_the_class, the_noise_is_taken_off_at_its_deviation,
    batch_statistics_in_the_sampler, bins_count_alike, bins_are_closed_on_the_wrong_side,
    the_null_uses_the_labels_that_are_likeliest, the_temperature_is_turned_over,
    the_area_is_flipped, ties_count_whole, the_attack_leaves_its_box,
    the_attack_returns_its_last_point_downhill, the_probe_is_fitted_on_test_codes,
    the_energy_apart_keeps_that_of_the_classes, the_first_labels_are_taken,
    a_run_goes_on_with_bad_weights, a_run_begins_its_chains_with_old_ones,
]  # fmt: skip
