"""Faults of machines with energies: each plants itself and names the property it must break."""

import math

import torch
from torch.nn.functional import softplus

from dgm.energy import dbm, dbn, hopfield
from dgm.energy.annealed_rbm import AnnealedRBM
from dgm.energy.boltzmann_machine import BoltzmannMachine
from dgm.energy.dbm import DBM
from dgm.energy.dbn import DBN
from dgm.energy.enumerated_rbm import EnumeratedRBM
from dgm.energy.modern_hopfield import ModernHopfield
from dgm.energy.negative_phase import ContrastiveDivergence, PersistentChains
from dgm.energy.rbm import RBM
from dgm.energy.tempering import ParallelTempering

_FREE = "free_energy_is_the_sum_over_hidden_units"
_SWEEP, _PHASES = "a_sweep_keeps_the_law", "the_loss_has_the_gradient_of_the_likelihood"
_SWAP = "exchanges_keep_the_law_of_every_temperature"
_AIS = "annealed_weights_average_to_z"
_RAISE = "the_reverse_bound_averages_to_the_law_of_the_draws"
_WEIGHTS = "weights_of_a_belief_net_average_to_its_law"


def the_visible_bias_is_forgotten_in_the_free_energy(patch):
    def free_energy(rbm, v, beta=1.0):
        return -softplus(rbm.hidden_logits(v, beta)).sum(-1)

    patch.setattr(RBM, "free_energy", free_energy)
    return _FREE


def the_energy_has_the_wrong_sign(patch):
    right = RBM.free_energy
    patch.setattr(RBM, "free_energy", lambda rbm, v, beta=1.0: -right(rbm, v, beta))
    return _FREE


def the_temperature_acts_outside_the_softplus(patch):
    def free_energy(rbm, v, beta=1.0):
        bias = (1 - beta) * rbm.base_logits + beta * rbm.visible_bias
        return -(v * bias).sum(-1) - beta * softplus(rbm.hidden_logits(v)).sum(-1)

    patch.setattr(RBM, "free_energy", free_energy)
    return _FREE


def the_phases_are_swapped(patch):
    right = RBM.loss
    patch.setattr(RBM, "loss", lambda rbm, x: -right(rbm, x))
    return _PHASES


def the_negatives_are_the_data(patch):
    def loss(rbm, x):
        v = rbm.data.rows(x, rbm.weight.dtype)
        return rbm.free_energy(v) - rbm.free_energy(v).mean()

    patch.setattr(RBM, "loss", loss)
    return _PHASES


def a_sweep_passes_on_probabilities(patch):
    def sweep(rbm, v, beta=1.0, generator=None):
        p = rbm.visible_logits(rbm.hidden_logits(v, beta).sigmoid(), beta).sigmoid()
        return torch.bernoulli(p, generator=generator)

    patch.setattr(RBM, "sweep", sweep)
    return _SWEEP


def the_sweep_forgets_the_base_of_the_path(patch):
    def visible_logits(rbm, h, beta=1.0):
        return beta * (h @ rbm.weight.T + rbm.visible_bias)

    patch.setattr(RBM, "visible_logits", visible_logits)
    return _SWEEP


def chains_start_at_noise(patch):
    def forward(cd, rbm, v):
        v = torch.randint_like(v, 2)
        for _ in range(cd.sweeps):
            v = rbm.sweep(v)
        return v

    patch.setattr(ContrastiveDivergence, "forward", forward)
    return "short_chains_start_at_the_data"


def a_sweep_too_few(patch):
    def forward(cd, rbm, v):
        for _ in range(max(1, cd.sweeps - 1)):
            v = rbm.sweep(v)
        return v

    patch.setattr(ContrastiveDivergence, "forward", forward)
    return "short_chains_start_at_the_data"


def persistent_chains_begin_anew(patch):
    def forward(pcd, rbm, v):
        state = torch.zeros_like(pcd.chains).to(v.dtype)
        for _ in range(pcd.sweeps):
            state = rbm.sweep(state)
        if pcd.training:
            pcd.chains.copy_(state)
        return state

    patch.setattr(PersistentChains, "forward", forward)
    return "persistent_chains_go_on_in_training_alone"


def persistent_chains_move_in_eval_mode(patch):
    def forward(pcd, rbm, v):
        pcd.chains.copy_(rbm.sweep(pcd.chains.to(v.dtype)))
        return pcd.chains.to(v.dtype)

    patch.setattr(PersistentChains, "forward", forward)
    return "persistent_chains_go_on_in_training_alone"


def _swapped_if(patch, accept):
    def swap(tempering, rbm, v, even, generator=None):
        first = torch.arange(0 if even else 1, len(v) - 1, 2)
        low, high, betas = v[first], v[first + 1], tempering.betas.to(v.dtype)
        stay = rbm.free_energy(low, betas[first]) + rbm.free_energy(high, betas[first + 1])
        move = rbm.free_energy(high, betas[first]) + rbm.free_energy(low, betas[first + 1])
        taken = torch.rand_like(stay).log() < accept(stay, move)
        after = v.clone()
        after[first] = torch.where(taken[..., None], high, low)
        after[first + 1] = torch.where(taken[..., None], low, high)
        return after, taken

    patch.setattr(ParallelTempering, "swap", swap)
    return _SWAP


def exchanges_are_accepted_the_other_way_round(patch):
    return _swapped_if(patch, lambda stay, move: move - stay)


def exchanges_are_always_accepted(patch):
    return _swapped_if(patch, lambda stay, move: torch.zeros_like(stay))


def exchanges_are_accepted_at_twice_the_difference(patch):
    return _swapped_if(patch, lambda stay, move: 2 * (stay - move))


def _annealed(patch, step, start=None):
    def log_z_weights(model, n, generator=None):
        rbm, before = model.rbm, 0.0
        v = rbm.start(n, generator)
        base = softplus(rbm.base_logits).sum()
        log_w = base + len(rbm.hidden_bias) * math.log(2) if start is None else base
        for beta in model._betas():
            log_w, v = step(rbm, log_w, v, before, beta)
            before = beta
        return log_w, v

    patch.setattr(AnnealedRBM, "log_z_weights", log_z_weights)
    return _AIS


def annealing_weighs_after_the_sweep(patch):
    """The ratio of the two temperatures is taken at the state that the new one has drawn."""

    def step(rbm, log_w, v, before, beta):
        v = rbm.sweep(v, beta)
        return log_w + rbm.free_energy(v, before) - rbm.free_energy(v, beta), v

    return _annealed(patch, step)


def annealing_starts_without_the_hidden_units(patch):
    def step(rbm, log_w, v, before, beta):
        log_w = log_w + rbm.free_energy(v, before) - rbm.free_energy(v, beta)
        return log_w, rbm.sweep(v, beta)

    return _annealed(patch, step, start="no hidden units")


def annealing_leaves_out_its_first_temperature(patch):
    def step(rbm, log_w, v, before, beta):
        if before:
            log_w = log_w + rbm.free_energy(v, before) - rbm.free_energy(v, beta)
        return log_w, rbm.sweep(v, beta)

    return _annealed(patch, step)


def _reversed(patch, weigh):
    def elbo(model, x):
        v, log_w = model.data.rows(x, model.rbm.weight.dtype), 0.0
        betas = model._betas()
        for t in reversed(range(len(betas))):
            before = model.rbm.sweep(v, betas[t])
            log_w = log_w + weigh(model.rbm, before, v, betas, t)
            v = before
        return log_w + model._log_start(v)

    patch.setattr(AnnealedRBM, "elbo", elbo)
    return _RAISE


def the_reverse_bound_has_its_ratio_upside_down(patch):
    def weigh(rbm, before, v, betas, t):
        return rbm.free_energy(v, betas[t]) - rbm.free_energy(before, betas[t])

    return _reversed(patch, weigh)


def the_reverse_bound_is_a_temperature_late(patch):
    def weigh(rbm, before, v, betas, t):
        beta = betas[t - 1] if t else 0.0
        return rbm.free_energy(before, beta) - rbm.free_energy(v, beta)

    return _reversed(patch, weigh)


def a_sum_over_the_hidden_side_without_its_bias(patch):
    def minus_log(model, h):
        return -softplus(model.rbm.visible_bias + h @ model.rbm.weight.T).sum(1)

    patch.setattr(EnumeratedRBM, "_minus_log", minus_log)
    return "sums_over_either_side_are_equal"


def every_pair_counts_twice(patch):
    def energy(model, s):
        return -(s @ model.weight() * s).sum(1) - s @ model.bias

    patch.setattr(BoltzmannMachine, "_energy", energy)
    return "energy_counts_every_pair_once"


def all_units_of_a_chain_at_once(patch):
    """Independent given the last state: right for an RBM's side, wrong where pairs are joined."""

    def sample(model, n, *, generator=None):
        s = torch.full((n, 4), 0.5, dtype=model.bias.dtype).bernoulli()
        for _ in range(model.sweeps):
            s = (s @ model.weight() + model.bias).sigmoid().bernoulli()
        return model.data.stored(s)

    patch.setattr(BoltzmannMachine, "sample", sample)
    return "gibbs_chains_follow_the_boltzmann_machine"


def the_diagonal_is_kept(patch):
    def hebb(patterns):
        x = patterns.float()
        return x.T @ x / x.shape[1]

    patch.setattr(hopfield, "hebb", hebb)
    return "hebb_is_the_mean_product_without_a_diagonal"


def the_network_climbs(patch):
    def sweep(network, s, order):
        s = s.clone()
        for i in order.tolist():
            s[:, i] = -(s @ network.weight[i]).sign()
        return s

    patch.setattr(hopfield.Hopfield, "sweep", sweep)
    return "energy_never_rises"


def recall_takes_all_units_at_once(patch):
    def recall(network, s, max_sweeps=100, generator=None):
        s = s.to(network.weight.dtype)
        for _ in range(max_sweeps):
            s = network.at_once(s)
        return s

    patch.setattr(hopfield.Hopfield, "recall", recall)
    return "energy_never_rises"


def attention_without_its_temperature(patch):
    def weights(network, s):
        return (s @ network.patterns.T).softmax(1)

    patch.setattr(ModernHopfield, "weights", weights)
    return "recall_is_softmax_attention"


def _belief(patch, change, returned=_WEIGHTS):
    right = DBN.up_and_weigh
    patch.setattr(DBN, "up_and_weigh", lambda net, x: change(net, x, *right(net, x)))
    return returned


def the_bound_has_the_entropy_of_the_picture(patch):
    """log q of the wrong layer: of the pixels given the guess, not of the guess."""

    def change(net, x, h, log_p, log_q):
        return h, log_p, dbn._log_bits(net.data.rows(x, h.dtype), net.layers[0].down(h))

    return _belief(patch, change)


def the_bound_leaves_out_the_entropy(patch):
    return _belief(patch, lambda net, x, h, log_p, log_q: (h, log_p, 0 * log_q))


def the_guess_gets_no_gradient(patch):
    def elbo(net, x):
        h, log_p, log_q = net.up_and_weigh(x)
        return log_p + net.top.log_prob(h.long()) - log_q

    patch.setattr(DBN, "elbo", elbo)
    return "the_bound_of_a_belief_net_has_its_gradient"


def a_stack_is_drawn_from_the_bottom(patch):
    """The guess of an empty picture goes down again; the top is never asked."""

    def sample(net, n, *, generator=None):
        v = torch.zeros(n, net.data.dims, dtype=net.layers[0].weight.dtype)
        h = torch.bernoulli(net.layers[0].up(v).sigmoid(), generator=generator)
        return net.data.stored(torch.bernoulli(net.layers[0].down(h).sigmoid()))

    patch.setattr(DBN, "sample", sample)
    return _WEIGHTS


def the_copy_forgets_the_hidden_biases(patch):
    def copy_of(layer, rbm):
        layer.weight.data.copy_(rbm.weight)
        layer.below_bias.data.copy_(rbm.visible_bias)
        return layer

    patch.setattr(dbn.SigmoidLayer, "copy_of", copy_of)
    return "a_stack_starts_at_its_rbm"


def mean_field_with_the_sign_of_its_entropy_turned(patch):
    right = dbm._entropy_of_bits
    patch.setattr(dbm, "_entropy_of_bits", lambda p: -right(p))
    return "mean_field_bounds_the_deep_machine"


def mean_field_without_the_layer_above(patch):
    def mean_field(model, x, steps=50):
        v = model.data.rows(x, model.weight.dtype)
        h = (v @ model.weight + model.hidden_bias).sigmoid()
        return h, (0.0 * h @ model.top_weight + model.top_bias).sigmoid() ** 2

    patch.setattr(DBM, "mean_field", mean_field)
    return "mean_field_bounds_the_deep_machine"


def the_layer_above_counts_twice(patch):
    right = DBM._log_weights
    patch.setattr(DBM, "_log_weights", lambda m, h: right(m, h) + m._from_above(h))
    return "a_deep_machine_is_the_sum_over_all_its_bits"


FAULTS = [
    the_visible_bias_is_forgotten_in_the_free_energy, the_energy_has_the_wrong_sign,
    the_temperature_acts_outside_the_softplus, the_phases_are_swapped, the_negatives_are_the_data,
    a_sweep_passes_on_probabilities, the_sweep_forgets_the_base_of_the_path, chains_start_at_noise,
    a_sweep_too_few, persistent_chains_begin_anew, persistent_chains_move_in_eval_mode,
    exchanges_are_accepted_the_other_way_round, exchanges_are_always_accepted,
    exchanges_are_accepted_at_twice_the_difference, annealing_weighs_after_the_sweep,
    annealing_starts_without_the_hidden_units, annealing_leaves_out_its_first_temperature,
    the_reverse_bound_has_its_ratio_upside_down, the_reverse_bound_is_a_temperature_late,
    a_sum_over_the_hidden_side_without_its_bias, every_pair_counts_twice,
    all_units_of_a_chain_at_once, the_diagonal_is_kept, the_network_climbs,
    recall_takes_all_units_at_once, attention_without_its_temperature,
    the_bound_has_the_entropy_of_the_picture, the_bound_leaves_out_the_entropy,
    the_guess_gets_no_gradient, a_stack_is_drawn_from_the_bottom,
    the_copy_forgets_the_hidden_biases, mean_field_with_the_sign_of_its_entropy_turned,
    mean_field_without_the_layer_above, the_layer_above_counts_twice,
]  # fmt: skip
