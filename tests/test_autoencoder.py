"""Autoencoders: what each rule does to the identity, the Wiener map, the score, and the spikes."""

import copy
import math
from itertools import pairwise

import contract
import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from dgm import data, zoo
from dgm.autoencoder.autoencoder import Autoencoder
from dgm.autoencoder.denoising import (
    DenoisingAutoencoder,
    GaussianCorruption,
    MaskingCorruption,
    SaltAndPepper,
    residual_score,
    wiener_map,
)
from dgm.autoencoder.sparse import KeepLargest, L1Penalty, RatePenalty, SparseAutoencoder, UnitAtoms
from dgm.autoencoder.spiking import (
    LIF,
    ExampleActivity,
    HardSpike,
    LeakyReadout,
    NeuronActivity,
    SoftSpike,
    SpikingAutoencoder,
    firing_period,
)
from dgm.autoencoder.stochastic import StochasticAutoencoder
from dgm.autoencoder.tied import TiedAutoencoder
from dgm.distribution.support import Levels, Reals
from dgm.measure.frechet import frechet_distance
from dgm.measure.identity import chimera, unexplained
from dgm.nets.mlp import MLP
from dgm.train import fit

pytestmark = pytest.mark.usefixtures("float64")

NAMES = [name for name, room in zoo.modules().items() if room == "autoencoder"]
# No probability, so nothing to compare with an entropy; and no `sample`, which the device promise
# calls: `test_moves_to_another_device` below is its stand-in.
NO_PROBABILITY = dict.fromkeys(NAMES, "fits_a_toy_law moves_to_another_device")


@contract.over("autoencoder", without=NO_PROBABILITY)
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def linear_pair(dims, code_dim):
    """A linear map there and one back."""
    return nn.Linear(dims, code_dim), nn.Linear(code_dim, dims)


# --- every model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_code_and_a_reconstruction_but_no_probability(name):
    model, x = zoo.get(name).small(0)
    assert model(x).shape == x.shape
    assert model(x).is_floating_point()
    assert model.encode(x).shape == (len(x), model.encode(x).shape[1])
    for method in ("log_prob", "elbo", "sample", "iw_bound", "energy"):
        assert not hasattr(model, method)


@pytest.mark.parametrize("name", NAMES)
def test_encode_and_forward_have_no_noise_in_either_mode(name):
    model, x = zoo.get(name).small(0)
    for mode in (model.eval(), model.train()):
        assert torch.equal(mode(x), mode(x))
        assert torch.equal(mode.encode(x), mode.encode(x))


@pytest.mark.parametrize("name", NAMES)
def test_row_of_a_batch_equals_the_single_example(name):
    model, x = zoo.get(name).small(0)
    model = model.double()
    assert torch.allclose(model(x)[3:4], model(x[3:4]), atol=1e-12)
    assert torch.allclose(model.encode(x)[3:4], model.encode(x[3:4]), atol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "spiking_autoencoder"])
def test_forward_is_decode_of_encode(name):
    model, x = zoo.get(name).small(0)
    assert torch.equal(model(x), model.decode(model.encode(x)))


@pytest.mark.parametrize("name", ["autoencoder", "bottleneck_autoencoder", "tied_autoencoder"])
def test_loss_is_the_squared_error_on_the_unit_scale(name):
    model, x = zoo.get(name).small(0)
    wanted = ((model(x) - x) / 2).square().flatten(1).sum(1)  # levels 0, 1, 2
    assert torch.allclose(model.loss(x), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_to_reconstruct_both_kinds_of_data(name):
    torch.set_default_dtype(torch.float32)
    points = torch.randn(512, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.3]])
    kind = torch.arange(512) % 3
    pixels = torch.stack((kind, 2 - kind, kind, kind == 1), 1).view(-1, 1, 2, 2).to(torch.uint8)
    small = {
        "k_sparse_autoencoder": {"k": 8},
        "sparse_autoencoder": {"weight": 0.01, "rate": 0.3},
        "spiking_autoencoder": {"hidden": 32, "time_steps": 10},
    }
    for x, kind in ((points, Reals((2,))), (pixels, Levels((1, 2, 2), 3))):
        torch.manual_seed(0)
        model = zoo.get(name).build(kind, code_dim=16, **small.get(name, {}))
        before = (model(x) - x).square().mean().item()
        steps = 120 if name == "spiking_autoencoder" else 250
        fit(model, x, steps=steps, batch_size=128, lr=1e-2, progress=False)
        after = (model(x) - x).square().mean().item()
        allowed = 0.6 if name == "spiking_autoencoder" and x is points else 0.35
        assert after < allowed * min(before, x.double().var(0).mean().item())


@pytest.mark.parametrize("name", NAMES)
def test_moves_to_another_device(name):
    if not torch.cuda.is_available():
        pytest.skip("no other device")
    model, x = zoo.get(name).small(0)
    moved = copy.deepcopy(model).cuda()
    assert moved.loss(x.cuda()).is_cuda
    assert torch.allclose(moved(x.cuda()).cpu(), model(x), atol=1e-4)


# --- data and arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_rows_lie_in_the_unit_interval_and_codes_that_are_no_numbers_are_refused(name):
    model, x = zoo.get(name).small(0)
    assert torch.equal(model._rows(x), x.flatten(1).double() / 2)
    for bad in (torch.full_like(model.encode(x), math.nan), [1.0], torch.zeros(3, 6).long()):
        with pytest.raises(ValueError, match=r"\b(z|code)\b"):
            model.decode(bad)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: zoo.get("autoencoder").build(Reals((2,)), code_dim=0), "code_dim"),
        (lambda: zoo.get("k_sparse_autoencoder").build(Reals((2,)), code_dim=3, k=4), "k"),
        (lambda: TiedAutoencoder(Reals((4,)), ()), "widths"),
        (lambda: TiedAutoencoder(Reals((4,)), (0,)), "widths"),
        (lambda: RatePenalty(rate=0.0), "rate"),
        (lambda: RatePenalty(weight=-1.0), "weight"),
        (lambda: L1Penalty(-0.1), "weight"),
        (lambda: KeepLargest(0), "k"),
        (lambda: KeepLargest(5)(torch.randn(2, 4)), "k"),
        (lambda: RatePenalty()(torch.randn(9, 4) * 3), "z"),
        (lambda: GaussianCorruption(0.0), "std"),
        (lambda: GaussianCorruption(math.nan), "std"),
        (lambda: MaskingCorruption(1.0), "share"),
        (lambda: SaltAndPepper(-0.1), "share"),
        (lambda: StochasticAutoencoder(Reals((2,)), nn.Identity(), nn.Identity(), 0.0), "std"),
        (lambda: wiener_map(torch.randn(3, 2), 1.0), "covariance"),
        (lambda: wiener_map(torch.eye(3), 0.0), "std"),
        (lambda: residual_score(nn.Identity(), torch.zeros(2, 2), 0.0), "std"),
        (lambda: SoftSpike(0.0), "slope"),
        (lambda: HardSpike(-1.0), "slope"),
        (lambda: LIF(leak=1.0), "leak"),
        (lambda: LIF(threshold=0.0), "threshold"),
        (lambda: LeakyReadout(0.0), "leak"),
        (lambda: ExampleActivity(-1.0), "weight"),
        (lambda: NeuronActivity(low=0.4, high=0.3), "low"),
        (lambda: NeuronActivity(weight=math.inf), "weight"),
        (lambda: zoo.get("spiking_autoencoder").build(Reals((2,)), time_steps=0), "steps"),
    ],
)
def test_bad_arguments_are_named(make, word):
    with pytest.raises(ValueError, match=rf"\b{word}\b"):
        make()


# --- the identity ---------------------------------------------------------------------------------


def test_chimeras_keep_every_marginal_and_break_every_tie():
    x = torch.randint(9, (500, 1, 1, 1)) * torch.ones(1, 1, 3, 3, dtype=torch.int64)  # all equal
    mixed = chimera(x)
    assert mixed.dtype == x.dtype
    assert torch.equal(mixed.flatten(1).sort(0).values, x.flatten(1).sort(0).values)
    assert torch.corrcoef(mixed.flatten(1).double().T).fill_diagonal_(0).abs().max() < 0.2
    assert torch.equal(mixed, chimera(x))
    assert not torch.equal(mixed, chimera(x, seed=1))
    with pytest.raises(ValueError, match=r"\bx\b"):
        chimera(x[:1])


def test_unexplained_is_zero_for_a_copy_and_one_for_the_mean():
    x = torch.randn(50, 3)
    mean = nn.Linear(3, 3)
    with torch.no_grad():
        mean.weight.zero_()
        mean.bias.copy_(x.mean(0))
    assert unexplained(nn.Identity(), x, x.mean(0)) == 0
    assert abs(unexplained(mean, x, x.mean(0)) - 1) < 1e-12
    with pytest.raises(ValueError, match="mean"):
        unexplained(mean, x, torch.zeros(4))


def test_frechet_distance_against_the_general_matrix_root_and_closed_forms():
    a, b = torch.randn(400, 5) @ torch.randn(5, 5), torch.randn(300, 5) @ torch.randn(5, 5) + 1
    cov = [np.cov(t.T.numpy()) for t in (a, b)]
    root = scipy.linalg.sqrtm(cov[0] @ cov[1]).real
    wanted = (a.mean(0) - b.mean(0)).square().sum().item() + np.trace(cov[0] + cov[1] - 2 * root)
    assert abs(frechet_distance(a, b) - wanted) < 1e-8
    assert abs(frechet_distance(a, b) - frechet_distance(b, a)) < 1e-8
    assert abs(frechet_distance(a, a)) < 1e-8
    assert abs(frechet_distance(a, a + 2.0) - 20) < 1e-8
    for bad, name in (((a, b[:, :2]), "b"), ((a[:1], b), "a"), ((a, b * math.nan), "b")):
        with pytest.raises(ValueError, match=rf"\b{name}\b"):
            frechet_distance(*bad)


def test_a_wide_code_can_copy_and_a_narrow_one_cannot():
    rows = torch.randn(400, 6)
    wide = Autoencoder(Reals((6,)), *linear_pair(6, 12))
    with torch.no_grad():
        wide.encoder.weight.copy_(torch.cat((torch.eye(6), torch.zeros(6, 6))))
        wide.decoder.weight.copy_(wide.encoder.weight.T)
        wide.encoder.bias.zero_()
        wide.decoder.bias.zero_()
    assert wide.loss(rows).max() < 1e-24
    # rank 2 leaves at least the tail of the eigenvalues, and PCA reaches it
    centred = rows - rows.mean(0)
    tail = torch.linalg.eigvalsh(centred.T @ centred / len(rows))[:4].sum()
    narrow = Autoencoder(Reals((6,)), *linear_pair(6, 2))
    fit(narrow, rows, steps=1500, batch_size=400, lr=2e-2, progress=False)
    assert tail - 1e-9 <= narrow.loss(rows).mean() <= tail * 1.01


def test_tied_relu_units_copy_exactly_and_tied_sigmoids_do_not_by_small_weights():
    rows = torch.randn(50, 4)
    model = TiedAutoencoder(Reals((4,)), (8,), nn.ReLU())
    with torch.no_grad():
        model.layers[0].weight.copy_(torch.cat((torch.eye(4), -torch.eye(4))))
        model.layers[0].bias.zero_()
    assert model.loss(rows).max() < 1e-24

    def escape(eps, tied):  # sigmoid(eps x) = 1/2 + eps x / 4: straight, if a decoder undoes eps
        back = torch.eye(4) * (eps if tied else 4 / eps)
        return ((torch.sigmoid(eps * rows) - 0.5) @ back - rows).abs().max()

    assert escape(1e-3, tied=False) < 1e-4
    assert min(escape(eps, tied=True) for eps in torch.logspace(-3, 1, 200)) > 0.4


def test_tied_decoder_is_the_transpose():
    model = TiedAutoencoder(Reals((5,)), (4, 3), nn.Identity())
    first, second = (layer.weight for layer in model.layers)
    z = torch.randn(6, 3)
    wanted = (z @ second + model.back[1]) @ first + model.back[0]
    assert torch.allclose(model.decode(z), wanted)
    n = sum(p.numel() for p in model.parameters())
    assert n == 5 * 4 + 4 * 3 + (4 + 3) + (5 + 4)


# --- sparsity -------------------------------------------------------------------------------------


def test_rate_penalty_is_the_kl_of_bernoullis_and_least_at_the_rate():
    z = torch.rand(64, 7)
    target = torch.distributions.Bernoulli(0.1)
    kl = torch.distributions.kl_divergence(target, torch.distributions.Bernoulli(z.mean(0))).sum()
    penalty = RatePenalty(2.0, 0.1)(z)
    assert torch.allclose(penalty, (2 * kl).expand(64))
    assert RatePenalty(1.0, 0.25)(torch.full((8, 3), 0.25)).abs().max() < 1e-12
    assert torch.isfinite(RatePenalty()(torch.zeros(4, 3))).all()


def test_rate_penalty_reaches_its_rate():
    torch.set_default_dtype(torch.float32)
    model = zoo.get("sparse_autoencoder").build(Reals((4,)), code_dim=20, weight=20.0, rate=0.1)
    fit(model, torch.randn(2000, 4), steps=400, batch_size=250, lr=5e-2, progress=False)
    mean = model.encode(torch.randn(2000, 4)).mean(0)
    assert (mean - 0.1).abs().max() < 0.05


def test_unit_atoms_close_the_escape_of_l1():
    decoder, z = UnitAtoms(9, 4), torch.rand(5, 9)
    before = decoder(z)
    with torch.no_grad():
        decoder.weight.mul_(1000.0)
    assert torch.allclose(decoder(z), before)
    assert torch.allclose(decoder.atoms().norm(dim=0), torch.ones(9))
    plain, x = nn.Linear(9, 4, bias=False), torch.rand(5, 9)
    with torch.no_grad():  # without them: a tenth of the price, the same reconstruction
        cheap = nn.Linear(9, 4, bias=False)
        cheap.weight.copy_(10 * plain.weight)
    assert torch.allclose(cheap(x / 10), plain(x))
    assert torch.allclose(10 * L1Penalty(1.0)(x / 10), L1Penalty(1.0)(x))


def test_terms_add_up_to_the_loss():
    encoder = nn.Sequential(nn.Linear(4, 9), nn.ReLU())
    model = SparseAutoencoder(Reals((4,)), encoder, UnitAtoms(9, 4), L1Penalty(0.3))
    x = torch.randn(6, 4)
    terms = model.terms(x)
    assert torch.allclose(sum(terms.values()), model.loss(x))
    assert torch.allclose(terms["penalty"], 0.3 * model.encode(x).abs().sum(1))


def test_keep_largest_keeps_exactly_k_and_their_gradient():
    z = torch.randn(20, 9, requires_grad=True)
    kept = KeepLargest(3)(z)
    assert (kept != 0).sum(1).eq(3).all()
    assert torch.equal(kept.sort(1, descending=True).values.max(1).values, z.max(1).values)
    assert torch.equal(kept[kept != 0], z[kept != 0])
    kept.sum().backward()
    assert torch.equal(z.grad, (kept != 0).double())
    tied = torch.zeros(2, 4)
    tied[:, 0] = 1.0
    assert (KeepLargest(2)(torch.ones(2, 4)) != 0).sum(1).eq(2).all()


# --- denoising ------------------------------------------------------------------------------------


class ExactNoise(nn.Module):
    """2 D corrupted copies of every row, each at distance std sqrt(D): the covariance of the noise
    over them is exactly std^2 I, so a linear map meets the same expected loss as under a Gaussian.
    """

    def __init__(self, std):
        super().__init__()
        self.std = std

    def forward(self, rows):
        dims = rows.shape[1]
        corners = self.std * math.sqrt(dims) * torch.cat((torch.eye(dims), -torch.eye(dims)))
        return rows + corners.repeat(len(rows) // (2 * dims), 1)


def correlated(n=64, dims=4):
    """Centred rows and their covariance."""
    rows = torch.randn(n, dims) @ torch.randn(dims, dims)
    rows = rows - rows.mean(0)
    return rows, rows.T @ rows / n


def test_linear_denoiser_of_gaussian_data_is_the_wiener_map():
    rows, covariance = correlated()
    encoder, decoder = nn.Linear(4, 4, bias=False), nn.Identity()
    model = DenoisingAutoencoder(Reals((4,)), encoder, decoder, ExactNoise(0.8))
    x = rows.repeat_interleave(8, 0)
    best = wiener_map(covariance, 0.8)
    with torch.no_grad():
        encoder.weight.copy_(best)
    model.loss(x).mean().backward()
    assert encoder.weight.grad.abs().max() < 1e-12  # stationary, and the loss is convex
    with torch.no_grad():
        encoder.weight.copy_(torch.eye(4))
    settings = {"max_iter": 300, "tolerance_grad": 1e-12, "tolerance_change": 0.0}
    newton = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe", **settings)

    def loss():
        newton.zero_grad()
        value = model.loss(x).mean()
        value.backward()
        return value

    newton.step(loss)
    assert (encoder.weight - best).abs().max() < 1e-6


def test_wiener_map_shrinks_each_direction_and_is_the_score_of_the_blurred_gaussian():
    _, covariance = correlated()
    best, (values, axes) = wiener_map(covariance, 0.5), torch.linalg.eigh(covariance)
    assert torch.allclose(axes.T @ best @ axes, torch.diag(values / (values + 0.25)), atol=1e-12)
    x = torch.randn(9, 4, requires_grad=True)
    blurred = torch.distributions.MultivariateNormal(
        torch.zeros(4), covariance + 0.25 * torch.eye(4)
    )
    (score,) = torch.autograd.grad(blurred.log_prob(x).sum(), x)
    denoiser = nn.Linear(4, 4, bias=False)
    denoiser.weight.data.copy_(best)
    assert torch.allclose(residual_score(denoiser, x, 0.5), score, atol=1e-10)


def test_denoising_residual_points_along_the_true_score_of_a_mixture():
    torch.set_default_dtype(torch.float32)
    std, toy = 0.4, data.load("eight_gaussians")
    blurred = data.toy.eight_gaussians(n=4000, noise=math.hypot(0.2, std)).law
    nets = nn.Sequential(MLP(2, 64, (64,)), nn.SiLU()), MLP(64, 2, (64,))
    model = DenoisingAutoencoder(Reals((2,)), *nets, GaussianCorruption(std))
    fit(model, toy.train, steps=1000, batch_size=512, lr=6e-3, average=0.99, progress=False)
    x = (toy.test[:1000] + std * torch.randn(1000, 2)).requires_grad_()
    (score,) = torch.autograd.grad(blurred.log_prob(x).sum(), x)
    cosine = torch.cosine_similarity(residual_score(model, x.detach(), std), score, dim=1)
    assert cosine.mean() > 0.95


def test_corruptions_do_what_they_say():
    rows = torch.rand(500, 40) * 0.8 + 0.1
    noisy = GaussianCorruption(0.3)(rows) - rows
    assert abs(noisy.std() - 0.3) < 0.01
    masked = MaskingCorruption(0.25)(rows)
    assert abs((masked == 0).double().mean() - 0.25) < 0.02
    assert torch.equal(masked[masked != 0], rows[masked != 0])
    salted = SaltAndPepper(0.4)(rows)
    assert abs((salted == 0).double().mean() - 0.2) < 0.02
    assert abs((salted == 1).double().mean() - 0.2) < 0.02
    untouched = (salted != 0) & (salted != 1)
    assert torch.equal(salted[untouched], rows[untouched])


@pytest.mark.parametrize("name", ["denoising_autoencoder", "stochastic_autoencoder"])
def test_only_the_loss_is_noisy(name):
    model, x = zoo.get(name).small(0)
    for mode in (model.eval(), model.train()):
        assert not torch.equal(mode.loss(x), mode.loss(x))


def test_noise_in_the_code_is_beaten_by_writing_louder_unless_the_code_is_bounded():
    x = torch.randn(2000, 3)
    loud = StochasticAutoencoder(Reals((3,)), *linear_pair(3, 3), std=1.0)
    with torch.no_grad():
        for layer, factor in ((loud.encoder, 1000.0), (loud.decoder, 1e-3)):
            layer.weight.copy_(factor * torch.eye(3))
            layer.bias.zero_()
    assert loud.loss(x).mean() < 1e-4
    with torch.no_grad():
        loud.encoder.weight.div_(1000)
        loud.decoder.weight.mul_(1000)
    assert abs(loud.loss(x).mean() - 3.0) < 0.3  # a unit of noise in each of three dimensions


# --- spikes ---------------------------------------------------------------------------------------


def fired_at(current, steps=200, **neuron):
    """Steps, from 1, at which a neuron under a constant current fires."""
    spikes = LIF(**neuron)(torch.full((steps, 1, 1), current)).flatten()
    return (spikes.nonzero().flatten() + 1).tolist()


@pytest.mark.parametrize("leak", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("threshold", [0.7, 1.0])
def test_firing_period_is_the_analytic_one(leak, threshold):
    for factor in (0.5, 0.99, 1.01, 1.1, 1.5, 3.7, 25.0):
        current = factor * threshold * (1 - leak)
        times = fired_at(current, leak=leak, threshold=threshold)
        period = firing_period(current, leak, threshold)
        if factor < 1:
            assert period == math.inf
            assert times == []
        else:
            assert times[0] == period
            assert {b - a for a, b in pairwise(times)} <= {period}
            assert len(times) == 200 // period


def test_a_neuron_at_the_threshold_itself_is_silent():
    assert HardSpike()(torch.tensor([-1e-12, 0.0, 1e-12])).tolist() == [0, 0, 1]
    assert fired_at(1.0, 6, leak=0.5) == [2, 4, 6]  # u = 1 at the first step, 1.5 at the second
    assert firing_period(1.0, leak=0.5) == 2


def test_firing_period_of_the_fact_sheet():
    assert firing_period(0.15, leak=0.9) == 11
    assert fired_at(0.15, 40) == [11, 22, 33]


def test_hard_spike_is_a_step_with_the_gradient_of_the_soft_one():
    v = torch.linspace(-3, 3, 101, requires_grad=True)
    hard = HardSpike(5.0)(v)
    assert torch.equal(hard.detach(), (v > 0).double())
    (borrowed,) = torch.autograd.grad(hard.sum(), v)
    (own,) = torch.autograd.grad(SoftSpike(5.0)(v).sum(), v)
    assert torch.allclose(borrowed, own)
    assert torch.allclose(borrowed, 1 / (1 + 5 * v.detach().abs()) ** 2)


def test_gradient_through_time_equals_finite_differences_of_the_smoothed_neuron():
    layers = nn.Linear(3, 5), LIF(spike=SoftSpike()), nn.Linear(5, 4), LIF(spike=SoftSpike())
    net, current = nn.Sequential(*layers), torch.randn(8, 2, 3)
    assert torch.autograd.gradcheck(lambda i: net(i).mean(0), current.requires_grad_())


def test_surrogate_gradient_is_the_chain_rule_along_the_hard_trajectory():
    current = (0.3 * torch.randn(12, 1, 1) + 0.3).requires_grad_()
    neuron = LIF()
    u, s = neuron.trace(current)
    s.sum().backward()
    slope = 1 / (1 + 2 * (u.detach() - 1).abs()) ** 2  # ds_t / du_t, borrowed
    du_next = 0.9 * (1 - s.detach()) - 0.9 * u.detach() * slope  # du_{t+1} / du_t
    by_hand, later = torch.zeros(12), torch.zeros(())
    for t in reversed(range(12)):
        later = slope[t, 0, 0] + (du_next[t, 0, 0] * later if t < 11 else 0.0)
        by_hand[t] = later
    assert torch.allclose(current.grad.flatten(), by_hand)


def test_neurons_forget_between_calls_and_fire_only_zeros_and_ones():
    neuron, current = LIF(), torch.rand(30, 4, 5)
    first = neuron(current)
    assert torch.equal(first, neuron(current))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    u, s = neuron.trace(current)
    assert torch.equal(s, (u > 1).double())
    assert torch.allclose(u[1:], 0.9 * u[:-1] * (1 - s[:-1]) + current[1:])


def test_leaky_readout_is_a_weighted_mean():
    current = torch.randn(6, 2, 3)
    weights = 0.8 ** torch.arange(5, -1, -1.0)
    wanted = (weights.view(-1, 1, 1) * current).sum(0) / weights.sum()
    assert torch.allclose(LeakyReadout(0.8)(current)[-1], wanted)
    assert torch.allclose(LeakyReadout()(torch.full((9, 1, 1), 3.0)), torch.tensor(3.0))


def test_activity_penalties_in_numbers():
    spikes = torch.zeros(10, 2, 3)
    spikes[:, 0, 0] = 1.0  # neuron 0 fires always for example 0: rate 1/2; the others never
    assert torch.allclose(ExampleActivity(9.0)(spikes), torch.tensor([1.0, 0.0]))
    wanted = 4 * ((0.5 - 0.3) ** 2 + 2 * 0.1**2)
    assert torch.allclose(NeuronActivity(4.0, 0.1, 0.3)(spikes), torch.tensor(wanted).expand(2))
    assert NeuronActivity(1.0, 0.0, 0.5)(spikes).max() == 0


def test_every_spiking_layer_pays_for_its_activity():
    model, x = zoo.get("spiking_autoencoder").small(0)
    trains = model.spikes(x)
    assert len(trains) == 3
    shares = [torch.stack([penalty(t) for penalty in model.penalties]).sum(0) for t in trains]
    assert all(share.max() > 0 for share in shares)
    torch.testing.assert_close(model.terms(x)["activity"], torch.stack(shares).sum(0))


def test_a_silent_neuron_gets_a_gradient_that_wakes_it():
    layer, neuron = nn.Linear(3, 4), LIF()
    with torch.no_grad():
        layer.bias.fill_(-1.0)
    x = torch.rand(20, 3)
    penalty, descent = NeuronActivity(100.0), torch.optim.Adam(layer.parameters(), lr=0.05)
    assert neuron(layer(x).expand(20, -1, -1)).sum() == 0
    for _ in range(150):
        descent.zero_grad()
        penalty(neuron(layer(x).expand(20, -1, -1))).mean().backward()
        descent.step()
    rate = neuron(layer(x).expand(20, -1, -1)).mean((0, 1))
    assert ((rate > 0.02) & (rate < 0.4)).all()


def test_spiking_code_and_terms():
    model = zoo.get("spiking_autoencoder").build(Reals((3,)), code_dim=5, hidden=7, time_steps=8)
    assert isinstance(model, SpikingAutoencoder)
    x = torch.rand(6, 3)
    trains = model.spikes(x)
    assert [t.shape for t in trains] == [(8, 6, 7), (8, 6, 5), (8, 6, 7)]
    assert torch.equal(trains[1], model.code(x))
    assert torch.allclose(model.encode(x) * 8, (model.encode(x) * 8).round())
    assert torch.allclose(model.encode(x), trains[1].mean(0))
    assert torch.equal(model.decode(trains[1]), model(x))
    terms = model.terms(x)
    assert torch.allclose(terms["reconstruction"], (model(x) - x).square().sum(1))
    assert torch.allclose(sum(terms.values()), model.loss(x))
