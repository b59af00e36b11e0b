"""Faults of deep energies: each plants itself and names the property it must break."""

import math

import torch
from torch.nn.functional import logsigmoid, softplus

from dgm.deep_energy import annealing, boltzmann_generator, langevin, mala
from dgm.deep_energy.boltzmann_generator import BoltzmannGenerator
from dgm.deep_energy.contrast import Contrast
from dgm.deep_energy.deep_energy import DeepEnergy
from dgm.deep_energy.ising import IsingModel
from dgm.deep_energy.langevin import Langevin
from dgm.deep_energy.mala import MALA
from dgm.deep_energy.matching import DenoisingMatch, SlicedMatch
from dgm.deep_energy.noise_contrast import NoiseContrast
from dgm.deep_energy.plane_energy import GridLikelihood
from dgm.deep_energy.replay_buffer import ReplayBuffer
from dgm.train import unattended

_ULA = "langevin_on_a_gaussian_has_the_variance_that_is_said"
_MALA = "corrected_chains_keep_the_law_at_any_step"
_PHASES = "the_contrast_has_the_gradient_of_the_likelihood"
_GO_ON = "chains_go_on_in_training_and_stand_still_in_eval_mode"
_NCE = "noise_contrast_is_least_at_the_right_log_z"
_SLICED = "slices_average_to_the_trace"
_DENOISE = "denoising_learns_the_variance_with_the_noise"
_GRID = "the_grid_sums_what_the_plane_holds"
_AIS = "annealed_weights_average_to_z"
_MAGNET = "both_chains_keep_the_law_of_the_magnet"
_ROWS = "rows_add_up_to_all_states"
_WEIGH = "weights_give_z_and_the_free_energies"
_TEND = "trouble_is_undone_and_training_goes_on"


def _rewritten(patch, owner, name, *changes, module):
    """Patch a function or method with its own source, some words of it exchanged."""
    import inspect
    import textwrap

    text = textwrap.dedent(inspect.getsource(getattr(owner, name)))
    for old, new in changes:
        assert text.count(old) >= 1, f"{name} no longer says {old!r}"
        text = text.replace(old, new)
    space = {}
    exec("from __future__ import annotations\n" + text, vars(module).copy(), space)
    patch.setattr(owner, name, space[name])


def _in_langevin(patch, *changes):
    _rewritten(patch, Langevin, "forward", *changes, module=langevin)
    return _ULA


def the_noise_has_variance_of_the_standard_deviation(patch):
    return _in_langevin(patch, ("(2 * step * self.temperature).sqrt()", "(2 * step)"))


def the_noise_forgets_its_two(patch):
    return _in_langevin(patch, ("2 * step * self.temperature", "step * self.temperature"))


def chains_climb(patch):
    _in_langevin(patch, ("x.detach() - step", "x.detach() + 0.1 * step"))
    return _ULA


def the_temperature_is_forgotten(patch):
    return _in_langevin(patch, ("2 * step * self.temperature", "2 * step"))


def the_bias_is_of_half_the_size(patch):
    right = langevin.langevin_variance
    import test_deep_energy

    def half(step, variance=1.0, temperature=1.0):
        return right(step / 2, variance, temperature)

    patch.setattr(test_deep_energy, "langevin_variance", half)
    return _ULA


def proposals_are_weighed_without_their_law(patch):
    change = " + (there.square() - back.square()).flatten(1).sum(1) / (4 * a)"
    _rewritten(patch, MALA, "move", (change, ""), module=mala)
    return _MALA


def the_way_back_is_weighed_with_the_slope_here(patch):
    change = ("x - y + a * slope_there", "x - y + a * slope")
    _rewritten(patch, MALA, "move", change, module=mala)
    return _MALA


def every_proposal_is_taken(patch):
    _rewritten(patch, MALA, "move", (".log() < log_r", ".log() < 1e9"), module=mala)
    return _MALA


def a_refused_chain_moves_anyway(patch):
    _rewritten(patch, MALA, "move", ("torch.where(wide, y, x)", "y"), module=mala)
    return "a_refused_proposal_leaves_the_state_as_it_was"


def the_step_settles_the_wrong_way(patch):
    change = ("accepted - self.share", "self.share - accepted")
    _rewritten(patch, MALA, "settle", change, module=mala)
    return "the_step_settles_where_the_share_is_right"


def the_phases_are_swapped(patch):
    right = Contrast.forward
    patch.setattr(Contrast, "forward", lambda c, model, u: -right(c, model, u))
    return _PHASES


def chains_count_as_many_times_as_data(patch):
    right = Contrast.forward

    def forward(c, model, u):
        return right(c, model, u) * 2 - model.tilted(u)

    patch.setattr(Contrast, "forward", forward)
    return _PHASES


def the_buffer_is_never_refreshed(patch):
    patch.setattr(ReplayBuffer, "put", lambda buffer, rows, x: None)
    return _GO_ON


def chains_move_in_eval_mode(patch):
    right = Contrast.forward

    def forward(c, model, u):
        training, c.training = c.training, True
        found = right(c, model, u)
        c.training = training
        return found

    patch.setattr(Contrast, "forward", forward)
    return _GO_ON


def all_chains_begin_anew_but_a_few(patch):
    def take(buffer, n, fresh, generator=None):
        rows = torch.randperm(len(buffer.chains), generator=generator)[:n]
        anew = torch.rand(n, 1, generator=generator) >= buffer.fresh
        return rows, torch.where(anew, fresh, buffer.chains[rows])

    patch.setattr(ReplayBuffer, "take", take)
    return "fresh_chains_are_as_many_as_asked_for"


def noise_is_told_without_its_density(patch):
    def forward(c, model, u):
        noise = model.base_draws(c.ratio * len(u)).to(u.dtype)
        data, other = (-model.tilted(v) - c.log_z - c.log_ratio for v in (u, noise))
        return softplus(-data) + softplus(other).view(c.ratio, len(u)).sum(0)

    patch.setattr(NoiseContrast, "forward", forward)
    return _NCE


def the_ratio_of_noise_is_forgotten(patch):
    right = NoiseContrast.forward

    def forward(c, model, u):
        c.log_ratio.zero_()
        return right(c, model, u)

    patch.setattr(NoiseContrast, "forward", forward)
    return _NCE


def the_trace_has_the_sign_of_the_energy(patch):
    right = SlicedMatch.forward

    def forward(c, model, u):
        found = right(c, model, u)
        half = 0.5 * model.score(u).square().sum(1)
        return 2 * half - found

    patch.setattr(SlicedMatch, "forward", forward)
    return _SLICED


def the_slope_is_not_halved(patch):
    right = SlicedMatch.forward

    def forward(c, model, u):
        return right(c, model, u) + 0.5 * model.score(u).square().sum(1)

    patch.setattr(SlicedMatch, "forward", forward)
    return _SLICED


def the_noise_is_fitted_with_the_wrong_sign(patch):
    def forward(c, model, u):
        e = torch.randn_like(u)
        return 0.5 * (c.noise * model.score(u + c.noise * e) - e).square().sum(1)

    patch.setattr(DenoisingMatch, "forward", forward)
    return _DENOISE


def the_clean_data_are_scored(patch):
    def forward(c, model, u):
        return 0.5 * (c.noise * model.score(u) + torch.randn_like(u)).square().sum(1)

    patch.setattr(DenoisingMatch, "forward", forward)
    return _DENOISE


def the_guess_walks_the_deviation_not_the_variance(patch):
    def best_guess(model, u):
        return u + model.objective.noise * model.score(u)

    patch.setattr(DeepEnergy, "best_guess", best_guess)
    return "the_best_guess_of_a_gaussian_is_its_posterior_mean"


def the_grid_forgets_the_area_of_a_cell(patch):
    def cells(grid, model, n=None):
        wide = grid.reach * model.spread
        at = torch.linspace(-1, 1, grid.n, dtype=wide.dtype)
        return model.centre + wide * torch.cartesian_prod(at, at), torch.ones_like(wide)

    patch.setattr(GridLikelihood, "cells", cells)
    return _GRID


def annealing_starts_at_a_z_of_one(patch):
    right = annealing.annealed_log_z
    import test_deep_energy

    def wrong(model, *more):
        log_w, ends = right(model, *more)
        return log_w - model.data.dims * (0.5 * math.log(2 * math.pi)), ends

    patch.setattr(test_deep_energy, "annealed_log_z", wrong)
    return _AIS


def spins_of_both_colours_turn_at_once(patch):
    def colours(model):
        _, height, width = model.data.shape
        return torch.ones(1, height, width, dtype=torch.bool)

    patch.setattr(IsingModel, "_colours", colours)
    return _MAGNET


def the_heat_bath_forgets_its_two(patch):
    def heat_bath(model, s, generator=None):
        for colour in model._colours():
            u = torch.rand(s.shape, generator=generator, dtype=s.dtype)
            up = u.log() < logsigmoid(model._pull(s))
            s = torch.where(colour, 2 * up.to(s.dtype) - 1, s)
        return s

    patch.setattr(IsingModel, "heat_bath", heat_bath)
    return _MAGNET


def neighbours_are_joined_around_the_border(patch):
    def pull(model, s):
        around = s.roll(1, 1) + s.roll(-1, 1) + s.roll(1, 2) + s.roll(-1, 2)
        return model.coupling * around + model.field

    patch.setattr(IsingModel, "_pull", pull)
    return _MAGNET


def the_first_row_is_alone(patch):
    right = IsingModel._rows

    def rows(model):
        row, between, sums = right(model)
        return row, between, [s - 0.5 * model.field * row.sum(1) for s in sums]

    patch.setattr(IsingModel, "_rows", rows)
    return _ROWS


def every_bond_counts_twice(patch):
    right = IsingModel.statistics

    def statistics(model, x):
        bonds, total = right(model, x)
        return 2 * bonds, total

    patch.setattr(IsingModel, "statistics", statistics)
    return _ROWS


def draws_are_weighed_by_the_inverse(patch):
    right = BoltzmannGenerator.weighted

    def weighted(model, n, generator=None):
        x, log_w = right(model, n, generator)
        return x, -log_w

    patch.setattr(BoltzmannGenerator, "weighted", weighted)
    return _WEIGH


def draws_are_weighed_by_the_energy_alone(patch):
    right = BoltzmannGenerator.weighted

    def weighted(model, n, generator=None):
        x, _ = right(model, n, generator)
        return x, -model.energy_of(x)

    patch.setattr(BoltzmannGenerator, "weighted", weighted)
    return _WEIGH


def the_ratio_is_upside_down(patch):
    right = boltzmann_generator.log_ratio
    patch.setattr(boltzmann_generator, "log_ratio", lambda log_w, first: right(log_w, ~first))
    return _WEIGH


def the_error_counts_the_draws_alone(patch):
    right = boltzmann_generator.log_ratio

    def wrong(log_w, first):
        return right(log_w, first)[0], 2 / len(log_w) ** 0.5

    patch.setattr(boltzmann_generator, "log_ratio", wrong)
    return "the_error_of_a_ratio_is_that_of_repeats"


def energy_training_forgets_the_volume(patch):
    def loss(model, x):
        y = model.flow.inverse(model.flow.base.sample(len(x)))
        told = -model.flow.log_prob(x)
        return (1 - model.by_energy) * told + model.by_energy * model.energy_of(y)

    patch.setattr(BoltzmannGenerator, "loss", loss)
    return "energy_training_is_the_divergence_up_to_log_z"


def trouble_is_noticed_and_not_undone(patch):
    patch.setattr(unattended._Snapshot, "restore", lambda snapshot: None)
    return _TEND


def the_step_stays_as_long_as_it_was(patch):
    patch.setattr(unattended, "_shorten", lambda model, shrink: None)
    return _TEND


FAULTS = [
    the_noise_has_variance_of_the_standard_deviation, the_noise_forgets_its_two, chains_climb,
    the_temperature_is_forgotten, the_bias_is_of_half_the_size,
    proposals_are_weighed_without_their_law, the_way_back_is_weighed_with_the_slope_here,
    every_proposal_is_taken, a_refused_chain_moves_anyway, the_step_settles_the_wrong_way,
    the_phases_are_swapped, chains_count_as_many_times_as_data, the_buffer_is_never_refreshed,
    chains_move_in_eval_mode, all_chains_begin_anew_but_a_few, noise_is_told_without_its_density,
    the_ratio_of_noise_is_forgotten, the_trace_has_the_sign_of_the_energy, the_slope_is_not_halved,
    the_noise_is_fitted_with_the_wrong_sign, the_clean_data_are_scored,
    the_guess_walks_the_deviation_not_the_variance, the_grid_forgets_the_area_of_a_cell,
    annealing_starts_at_a_z_of_one,
    spins_of_both_colours_turn_at_once, the_heat_bath_forgets_its_two,
    neighbours_are_joined_around_the_border, the_first_row_is_alone, every_bond_counts_twice,
    draws_are_weighed_by_the_inverse, draws_are_weighed_by_the_energy_alone,
    the_ratio_is_upside_down, the_error_counts_the_draws_alone,
    energy_training_forgets_the_volume, trouble_is_noticed_and_not_undone,
    the_step_stays_as_long_as_it_was,
]  # fmt: skip
