"""Faults of codes and of what is said of them: each names the property it must break."""

import math

import torch
from torch import nn
from torch.nn.functional import normalize

from dgm.measure import code_length, paths, probe, scorecard
from dgm.representation import contrastive
from dgm.representation.masked_prediction import MaskedPrediction
from dgm.representation.winding import Winding

_WIND, _NCE = "winding_moves_no_probability", "the_contrast_is_the_share_of_the_own_view"
_HOOK, _ONCE = "layers_are_what_the_modules_return", "a_probe_meets_the_test_part_once"
_BITS, _CARD = "the_code_is_paid_block_by_block", "wishes_have_their_known_values"
_HIDE, _FEW = "hidden_pixels_alone_are_predicted_and_unseen", "few_labels_are_all_a_draw_sees"
_WALK = "paths_are_scored_between_their_ends"


# --- winding --------------------------------------------------------------------------------------


def the_winding_stretches_what_it_turns(patch):
    right = Winding._turned
    patch.setattr(
        Winding, "_turned", lambda m, z, s, sign: right(m, z, s, sign) * (1.01 if sign > 0 else 1)
    )
    return _WIND


def the_turn_depends_on_the_entry_it_turns(patch):
    """No function of what stays: volumes change, lengths do not."""

    def turned(winding, z, stage, sign):
        x, y, rest = z[:, 0], z[:, 1], z[:, 2:]
        angle = sign * winding.turns * x
        pair = angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y
        return torch.cat((torch.stack(pair, 1), rest), 1)

    patch.setattr(Winding, "_turned", turned)
    return _WIND


def the_stages_are_not_undone_in_reverse(patch):
    patch.setattr(Winding, "inverse", lambda m, z: m._turned(z[:, m.orders[0]], 0, -1.0))
    return _WIND


# --- learners -------------------------------------------------------------------------------------


def _nce(patch, change):
    def info_nce(a, b, temperature):
        rows, n = normalize(torch.cat((a, b)), dim=1), len(a)
        alike, itself, own = change(rows @ rows.T, n, temperature)
        share = alike.masked_fill(itself, -math.inf).log_softmax(1)
        each = -share.gather(1, own[:, None]).squeeze(1)
        return (each[:n] + each[n:]) / 2

    patch.setattr(contrastive, "info_nce", info_nce)
    return _NCE


def the_temperature_multiplies(patch):
    return _nce(
        patch, lambda s, n, t: (s * t, torch.eye(2 * n).bool(), (torch.arange(2 * n) + n) % (2 * n))
    )


def a_picture_is_among_its_own_candidates(patch):
    return _nce(
        patch,
        lambda s, n, t: (
            s / t, torch.zeros(2 * n, 2 * n).bool(), (torch.arange(2 * n) + n) % (2 * n)
        ),
    )  # fmt: skip


def the_positive_is_the_neighbour_in_the_batch(patch):
    return _nce(
        patch,
        lambda s, n, t: (s / t, torch.eye(2 * n).bool(), (torch.arange(2 * n) + n + 1) % (2 * n)),
    )


def negatives_come_from_the_other_view_only(patch):
    def change(s, n, t):
        same = torch.block_diag(torch.ones(n, n), torch.ones(n, n)).bool()
        return s / t, same, (torch.arange(2 * n) + n) % (2 * n)

    return _nce(patch, change)


def hidden_pixels_are_shown(patch):
    right = MaskedPrediction._seen

    def seen(model, u, hidden):
        found = right(model, u, hidden)
        return torch.cat((u, found[:, u.shape[1] :]), 1)

    patch.setattr(MaskedPrediction, "_seen", seen)
    return _HIDE


def the_loss_counts_what_was_seen(patch):
    right = MaskedPrediction.hidden

    def loss(model, x):
        x, u = model._checked(x)
        hidden = right(model, len(x))
        nats = nn.functional.cross_entropy(model.predict(u, hidden), x, reduction="none")
        return nats.flatten(1).sum(1)

    patch.setattr(MaskedPrediction, "loss", loss)
    return _HIDE


# --- layers and probes ----------------------------------------------------------------------------


def the_hook_keeps_what_came_in(patch):
    right = nn.Module.register_forward_hook

    def register(module, hook):
        return right(module, lambda m, given, out: hook(m, given, given[0]))

    patch.setattr(nn.Module, "register_forward_hook", register)
    return _HOOK


def what_is_kept_moves_with_the_next_layer(patch):
    patch.setattr(torch.Tensor, "clone", lambda t, **_: t)
    return _HOOK


def the_hooks_stay(patch):
    patch.setattr(torch.utils.hooks.RemovableHandle, "remove", lambda handle: None)
    return _HOOK


def the_penalty_is_chosen_on_test(patch):
    right = probe.linear_probe

    def seen(h, y, test_h, test_y, c=1.0):
        return right(h, y, *seen.test, c=c)

    def honest(h, y, penalties=probe.PENALTIES):
        seen.test = h[2], y[2]
        return right_honest(h, y, penalties)

    right_honest = probe.honest_probe
    patch.setattr(probe, "linear_probe", seen)
    patch.setattr(probe, "honest_probe", honest)
    return _ONCE


def the_probe_is_fitted_on_test_codes(patch):
    right = probe.linear_probe
    patch.setattr(probe, "linear_probe", lambda h, y, a, b, c=1.0: right(a, b, a, b, c=c))
    return _ONCE


def all_labels_choose_the_ridge(patch):
    right = probe.ridge_probe

    def peeks(h, y, test_h, test_y, classes, ridges=probe.RIDGES):
        return max(right(h, y, test_h, test_y, classes, [r]) for r in ridges)

    patch.setattr(probe, "ridge_probe", peeks)
    return _FEW


def labels_are_drawn_without_regard_to_class(patch):
    def curve(h, y, test_h, test_y, counts, draws=5, seed=0):
        rows, test_rows = probe.standardised(h, test_h)
        found = {n: [] for n in counts}
        for _ in range(draws):
            order = torch.randperm(len(y))
            for n in counts:
                few = order[:n]
                found[n].append(probe.ridge_probe(rows[few], y[few], test_rows, test_y, 3))
        return found

    patch.setattr(probe, "label_curve", curve)
    return _FEW


# --- code length ----------------------------------------------------------------------------------


def the_first_block_is_free(patch):
    right = code_length.prequential_bits

    def bits(h, y, classes, blocks=code_length.BLOCKS, c=0.1):
        return right(h, y, classes, blocks, c) - round(blocks[0] * len(y)) * math.log2(classes)

    patch.setattr(code_length, "prequential_bits", bits)
    return _BITS


def every_block_is_coded_by_a_probe_of_all(patch):
    right, kept = code_length._log_probs, {}

    def standard(h, *others):
        kept["h"] = right_standard(h)[0]
        return [kept["h"]]

    def cheats(h, y, next_h, classes, c):
        return right(kept["h"], kept["y"], next_h, classes, c)

    def bits(h, y, classes, blocks=code_length.BLOCKS, c=0.1):
        kept["y"] = y
        return right_bits(h, y, classes, blocks, c)

    right_standard, right_bits = code_length.standardised, code_length.prequential_bits
    patch.setattr(code_length, "standardised", standard)
    patch.setattr(code_length, "_log_probs", cheats)
    patch.setattr(code_length, "prequential_bits", bits)
    return _BITS


def the_choice_of_the_probe_is_not_named(patch):
    def length(h, y, classes, strengths=code_length.STRENGTHS):
        bits = min(code_length.prequential_bits(h, y, classes, c=c) for c in strengths)
        uniform = len(y) * math.log2(classes)
        return {"bits": bits, "uniform": uniform, "compression": uniform / bits}

    patch.setattr(code_length, "code_length", length)
    return _BITS


# --- the scorecard --------------------------------------------------------------------------------


def the_silhouette_counts_itself(patch):
    def silhouette(h, y):
        d = torch.cdist(h.double(), h.double())
        member = nn.functional.one_hot(y).double()
        mean = d @ member / member.sum(0)
        own = mean.gather(1, y[:, None]).squeeze(1)
        others = mean.scatter(1, y[:, None], torch.inf).amin(1)
        return ((others - own) / torch.maximum(own, others).clamp_min(1e-300)).mean().item()

    patch.setattr(scorecard, "silhouette", silhouette)
    return _CARD


def sparsity_is_not_scaled(patch):
    patch.setattr(
        scorecard, "sparsity",
        lambda h: (h.abs().sum(1) / h.norm(dim=1).clamp_min(1e-9)).mean().item(),
    )  # fmt: skip
    return _CARD


def alignment_takes_the_mean_over_entries(patch):
    def aligned(h, factors):
        a = scorecard.standardised(scorecard._ranks(h.double()))[0]
        b = scorecard.standardised(scorecard._ranks(factors.double()))[0]
        return (a.T @ b / len(a)).square().mean().item()

    patch.setattr(scorecard, "axis_alignment", aligned)
    return _CARD


def a_constant_code_is_invariant(patch):
    right = scorecard.invariance
    patch.setattr(scorecard, "invariance", lambda h, m: 1.0 if h.equal(m) else right(h, m))
    return _CARD


def the_midpoint_is_its_own_neighbour(patch):
    right = torch.Tensor.scatter_
    patch.setattr(
        torch.Tensor, "scatter_",
        lambda t, *given, **named: t if given[-1] == torch.inf else right(t, *given, **named),
    )  # fmt: skip
    return _CARD


def relatives_are_farther(patch):
    right = scorecard.hierarchy
    patch.setattr(scorecard, "hierarchy", lambda *given: -right(*given))
    return _CARD


def the_ends_of_a_path_are_scored_too(patch):
    right = paths.judged

    def judged(path, decode, judge):
        return right(torch.cat((path[:1], path, path[-1:])), decode, judge)

    patch.setattr(paths, "judged", judged)
    return _WALK


def the_arc_is_a_line(patch):
    patch.setattr(paths, "arc", paths.straight)
    return _WALK


FAULTS = [
    the_winding_stretches_what_it_turns, the_turn_depends_on_the_entry_it_turns,
    the_stages_are_not_undone_in_reverse, the_temperature_multiplies,
    a_picture_is_among_its_own_candidates, the_positive_is_the_neighbour_in_the_batch,
    negatives_come_from_the_other_view_only, hidden_pixels_are_shown,
    the_loss_counts_what_was_seen, the_hook_keeps_what_came_in,
    what_is_kept_moves_with_the_next_layer, the_hooks_stay, the_penalty_is_chosen_on_test,
    the_probe_is_fitted_on_test_codes, all_labels_choose_the_ridge,
    labels_are_drawn_without_regard_to_class, the_first_block_is_free,
    every_block_is_coded_by_a_probe_of_all, the_choice_of_the_probe_is_not_named,
    the_silhouette_counts_itself, sparsity_is_not_scaled, alignment_takes_the_mean_over_entries,
    a_constant_code_is_invariant, the_midpoint_is_its_own_neighbour, relatives_are_farther,
    the_ends_of_a_path_are_scored_too, the_arc_is_a_line,
]  # fmt: skip
