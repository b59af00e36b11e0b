"""Flows: the contract, and each layer against what is known of it."""

import json
import math

import contract
import pytest
import torch
from torch import nn
from torch.distributions import MixtureSameFamily, Normal
from torch.distributions.categorical import Categorical

from dgm.distribution.logistic import StandardLogistic
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.dequantize import ConditionalAffine, Dequantize, FlowNoise
from dgm.flow.elementwise import Flatten, Logit, Permute, Scale
from dgm.flow.flow import Flow
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.marginal import MarginalLogit
from dgm.flow.masked_coupling import MaskedCoupling, channel_mask, checkerboard_mask
from dgm.flow.mixture_coupling import LogisticMixtureCoupling, bisect, mixture_logit
from dgm.flow.multiscale import Multiscale, Squeeze
from dgm.nets.mlp import MLP, ResidualMLP
from dgm.nets.resnet import ResNet
from dgm.zoo import flow as systems
from dgm.zoo.studies import flow_ablation

pytestmark = pytest.mark.usefixtures("float64")

FILES = (
    "flow",
    "coupling",
    "masked_coupling",
    "mixture_coupling",
    "actnorm",
    "invertible_conv",
    "multiscale",
    "elementwise",
    "dequantize",
)


@contract.over("flow")
def test_contract(entry, promise):
    promise(entry)


class Density(nn.Module):
    """A density in one dimension, as a flow sees it."""

    def __init__(self, law):
        super().__init__()
        self.law = law

    def log_prob(self, x):
        return self.law.log_prob(x).flatten(1).sum(1)


def net(features, out_features):
    return nn.Sequential(nn.Linear(features, 16), nn.Tanh(), nn.Linear(16, out_features))


def brute_force(layer, x):
    """log|det dz/dx| of one example (1, ...) by autograd."""
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v)[0].flatten(), x)
    return jacobian.reshape(x.numel(), x.numel()).slogdet()[1]


LAYERS = {
    "additive": (lambda: AdditiveCoupling(net(2, 2)), (4,)),
    "affine": (lambda: AffineCoupling(net(2, 4)), (4,)),
    "affine_image": (lambda: AffineCoupling(nn.Conv2d(2, 4, 3, padding=1)), (4, 2, 2)),
    "checkerboard": (
        lambda: MaskedCoupling(nn.Conv2d(1, 2, 3, padding=1), checkerboard_mask((1, 4, 4))),
        (1, 4, 4),
    ),
    "channelwise": (
        lambda: MaskedCoupling(nn.Conv2d(4, 8, 3, padding=1), channel_mask((4, 2, 2), 0)),
        (4, 2, 2),
    ),
    "mixture": (lambda: LogisticMixtureCoupling(net(2, 2 * 14), 4), (4,)),
    "mixture_image": (
        lambda: LogisticMixtureCoupling(nn.Conv2d(2, 28, 3, padding=1), 4),
        (4, 2, 2),
    ),
    "conv1x1": (lambda: InvertibleConv1x1(4), (4, 2, 2)),
    "conv1x1_vector": (lambda: InvertibleConv1x1(4), (4,)),
    "actnorm": (lambda: ActNorm(4), (4, 2, 2)),
    "scale": (lambda: Scale((4,), 0.3), (4,)),
    "permute": (lambda: Permute(4, torch.tensor([2, 0, 3, 1])), (4,)),
    "flatten": (lambda: Flatten((1, 2, 2)), (1, 2, 2)),
    "squeeze": (Squeeze, (1, 4, 4)),
    "multiscale": (
        lambda: Multiscale((1, 4, 4), [[AffineCoupling(nn.Conv2d(c // 2, c, 1))] for c in (4, 8)]),
        (1, 4, 4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_inverts_and_its_log_det_is_the_jacobians(name):
    make, shape = LAYERS[name]
    layer = make().eval()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.6 * torch.randn_like(p))
    x = torch.randn(3, *shape)
    z, log_det = layer(x)
    assert log_det.shape == (3,)
    torch.testing.assert_close(layer.inverse(z), x, atol=2e-6, rtol=0)
    for k in range(3):
        torch.testing.assert_close(log_det[k], brute_force(layer, x[k : k + 1]))


def test_additive_coupling_keeps_volume_exactly():
    assert AdditiveCoupling(net(2, 2))(torch.randn(5, 4))[1].eq(0).all()


def test_couplings_swap_so_that_three_mix_everything():
    def depends(n):
        stack = Flow([AdditiveCoupling(net(2, 2)) for _ in range(n)], None, Reals((4,)))
        jacobian = torch.autograd.functional.jacobian(lambda v: stack(v)[0], torch.randn(1, 4))
        return bool((jacobian.abs() > 1e-9).all())

    assert [depends(n) for n in (1, 2, 3)] == [False, False, True]


def test_log_scale_is_bounded():
    layer = AffineCoupling(nn.Linear(1, 2), max_log_scale=0.5)
    layer.net.weight.data.fill_(100.0)
    assert layer(torch.full((1, 2), 50.0))[1].abs().item() <= 0.5 + 1e-12


def test_checkerboard_alternates_and_masked_pixels_stay():
    mask = checkerboard_mask((1, 4, 4))
    assert torch.equal(mask + checkerboard_mask((1, 4, 4), 0), torch.ones(1, 4, 4))
    assert mask[0, 0, 0] == 1
    assert mask[0, 0, 1] == 0
    assert mask[0, 1, 1] == 1
    layer, x = MaskedCoupling(nn.Conv2d(1, 2, 3, padding=1), mask), torch.randn(2, 1, 4, 4)
    z = layer(x)[0]
    assert torch.equal(z[:, mask == 1], x[:, mask == 1])
    assert (z[:, mask == 0] != x[:, mask == 0]).all()


def test_squeeze_makes_channels_of_blocks():
    z = Squeeze()(torch.arange(1.0, 17).view(1, 1, 4, 4))[0]
    assert z[0, :, 0, 0].tolist() == [1, 2, 5, 6]


def test_multiscale_leaves_half_behind_at_each_level():
    flow = Multiscale((1, 8, 8), [[], [], []])
    x = torch.arange(64.0).view(1, 1, 8, 8)
    z = flow(x)[0]
    assert sorted(z[0].tolist()) == x.flatten().tolist()
    assert [tuple(p.shape[1:]) for p in flow._split(z)] == [(2, 4, 4), (4, 2, 2), (16, 1, 1)]


def test_mixture_logit_is_the_logit_of_a_mixture_cdf():
    logits, means, log_scales = torch.randn(3, 5)
    law = MixtureSameFamily(
        Categorical(logits=logits), Normal(torch.zeros(5), torch.ones(5))
    )  # weights only; the logistic CDF by hand
    x = torch.linspace(-6, 6, 50)
    cdf = (
        law.mixture_distribution.probs * torch.sigmoid((x[:, None] - means) / log_scales.exp())
    ).sum(1)
    y, slope = mixture_logit(x, *(t.expand(50, 5) for t in (logits, means, log_scales)))
    torch.testing.assert_close(y, torch.logit(cdf))
    numeric = torch.autograd.functional.jacobian(
        lambda v: mixture_logit(v, *(t.expand(50, 5) for t in (logits, means, log_scales)))[0], x
    ).diagonal()
    torch.testing.assert_close(slope, numeric.log())


def test_mixture_logit_is_finite_far_in_the_tails():
    torch.set_default_dtype(torch.float32)
    x = torch.tensor([-1e4, 1e4])
    y, slope = mixture_logit(x, *(torch.zeros(2, 3) for _ in range(3)))
    assert torch.allclose(y, x)
    assert torch.allclose(slope, torch.zeros(2), atol=1e-5)


def test_bisection_widens_a_bad_bracket_and_says_when_it_failed():
    y = torch.tensor([5.0, -7.0])
    low, high = torch.zeros(2), torch.ones(2)
    found = bisect(lambda t: t**3, y, low, high, tol=1e-10, max_iter=200)
    torch.testing.assert_close(found, torch.tensor([5 ** (1 / 3), -(7 ** (1 / 3))]))
    with pytest.raises(RuntimeError, match="bisection"):
        bisect(lambda t: t**3, y, low, high, tol=1e-12, max_iter=8)


def test_mixture_inverse_raises_when_it_runs_out_of_steps():
    layer = LogisticMixtureCoupling(net(1, 14), 4)
    with pytest.raises(RuntimeError, match="bisection"):
        layer.inverse(torch.randn(4, 2), tol=1e-9, max_iter=3)


def test_one_logistic_makes_the_mixture_coupling_affine():
    layer = LogisticMixtureCoupling(net(1, 5), 1)
    x = torch.cat((torch.zeros(3, 1), torch.tensor([[0.0], [1.0], [2.0]])), 1)
    z = layer(x)[0][:, 0]
    torch.testing.assert_close(z[2] - z[1], z[1] - z[0])


def test_actnorm_starts_from_the_first_batch_only_in_training_and_once():
    layer, x = ActNorm(3), 5 + 3 * torch.randn(64, 3, 2, 2)
    assert torch.equal(layer.eval()(x)[0], x)
    z = layer.train()(x)[0].transpose(0, 1).flatten(1)
    torch.testing.assert_close(z.mean(1), torch.zeros(3), atol=1e-10, rtol=0)
    torch.testing.assert_close(z.std(1, unbiased=False), torch.ones(3))
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(x * 10)
    assert all(torch.equal(state[k], v) for k, v in layer.state_dict().items())
    assert state["initialized"]


def test_actnorm_survives_a_constant_channel():
    z, log_det = ActNorm(2).train()(torch.zeros(8, 2))
    assert z.isfinite().all()
    assert log_det.isfinite().all()


def test_conv1x1_starts_as_a_rotation_and_multiplies_by_its_weight():
    conv, x = InvertibleConv1x1(5), torch.randn(2, 5, 3, 3)
    torch.testing.assert_close(conv.weight() @ conv.weight().T, torch.eye(5))
    torch.testing.assert_close(conv(x)[0][1, :, 2, 0], conv.weight() @ x[1, :, 2, 0])
    conv.log_scale.data += torch.randn(5)
    torch.testing.assert_close(conv(x)[1][0], 9 * conv.weight().slogdet()[1])


def test_logit_agrees_with_torch_and_covers_the_box():
    layer, x = Logit(17.0, alpha=0.01), 17 * torch.rand(20, 3)
    uniform = Flow([layer], StandardLogistic((3,)), Reals((3,))).log_prob(x)
    # a logistic base through a logit is uniform over the box, up to the margin alpha
    torch.testing.assert_close(uniform, torch.full((20,), 3 * math.log(0.98 / 17)))


def pictures(n, levels=5, shape=(1, 2, 3)):
    """Integers whose places have histograms of their own, the first one always black."""
    rates = torch.arange(math.prod(shape)).view(shape) / math.prod(shape)
    return (levels * rates * torch.rand(n, *shape)).long()


def marginal_logit(shape=(1, 2, 3), shared=0.2):
    layer = MarginalLogit(shape, 5)
    layer.start_from(pictures(500), Levels(shape, 5), shared)
    return layer


def test_histograms_alike_make_a_marginal_logit_a_logit():
    x = 5 * torch.rand(20, 1, 2, 3)
    for mine, known in zip(MarginalLogit((1, 2, 3), 5, 0.01)(x), Logit(5, 0.01)(x), strict=True):
        torch.testing.assert_close(mine, known)


def test_marginal_logit_inverts_and_its_log_det_is_the_jacobian():
    layer, x = marginal_logit(), pictures(20) + torch.rand(20, 1, 2, 3)
    z, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(z), x)
    for k in range(3):
        torch.testing.assert_close(log_det[k], brute_force(layer, x[k : k + 1]))


def test_over_a_logistic_base_a_marginal_logit_is_the_histogram_of_each_place():
    data, base = Levels((1, 2, 3), 5), StandardLogistic((6,))
    layers = [MarginalLogit(data.shape, 5, alpha=1e-9), Flatten(data.shape)]
    model = Dequantize(Flow(layers, base, Reals(data.shape)), data)
    train, test = pictures(400), pictures(50)
    before = model.elbo(test)
    torch.testing.assert_close(before, torch.full((50,), -6 * math.log(5)))
    layers[0].start_from(train, data, shared=0.0)
    torch.testing.assert_close(-model.elbo(test), data.histogram_nats(train, test).double())
    model.start_from(train)  # what recipes call: a share of what all places have in common
    assert (model.elbo(test).mean() > before.mean()).item()
    assert model.elbo(test).mean() < -data.histogram_nats(train, test).mean()


@pytest.mark.parametrize("name", ["realnvp", "glow", "flowpp"])
def test_an_untrained_flow_of_pictures_starts_near_the_histogram(name):
    (entry,) = (entry for entry in systems.ENTRIES if entry.name == name)
    data = Levels((1, 4, 4), 32)
    train = pictures(2000, 32, data.shape)
    sizes = entry.tiny.sizes
    with_histograms, without = (
        entry.build(data, **sizes | dict(marginals=marginals)) for marginals in (True, False)
    )
    for model in (with_histograms, without):
        model.start_from(train)
        model.train().loss(train)  # ActNorm looks at its first batch
        model.eval()
    histogram = data.histogram_nats(train, train).mean()
    started = with_histograms.loss(train).mean()
    assert started < histogram + 0.2 * 16  # a normal base for a logistic law, and first layers
    assert without.loss(train).mean() > histogram + 0.3 * 16


@pytest.mark.parametrize(("sd", "bits"), [(0.2, 1.600), (0.5, 0.271), (1.0, 0.0625), (3.0, 0.0067)])
def test_uniform_noise_loses_the_known_number_of_bits(sd, bits):
    model = Dequantize(Density(Shifted(Normal(0.3, sd))), Levels((1,), 41))
    x = torch.arange(41)[:, None]
    mass = Normal(20.3, sd).cdf(x + 1.0) - Normal(20.3, sd).cdf(x * 1.0)
    bound = torch.stack([model.elbo(x) for _ in range(20_000 if sd < 1 else 4000)]).mean(0)
    seen = mass[:, 0] > 1e-12
    lost = (mass[seen, 0] * (mass[seen, 0].log() - bound[seen])).sum() / math.log(2)
    assert lost.item() == pytest.approx(bits, abs=0.02 * bits + 0.004)


class Shifted:
    """The law in the middle of 0..41."""

    def __init__(self, law):
        self.law = law

    def log_prob(self, x):
        return self.law.log_prob(x - 20)


def test_iw_bound_rises_to_the_exact_bin_mass():
    model = Dequantize(Density(Shifted(Normal(0.3, 0.5))), Levels((1,), 41))
    x = torch.full((400, 1), 20)
    exact = (
        Normal(0.3, 0.5).cdf(torch.tensor(1.0)) - Normal(0.3, 0.5).cdf(torch.tensor(0.0))
    ).log()
    bounds = [model.iw_bound(x, k).mean() for k in (1, 4, 64, 2000)]
    assert bounds == sorted(bounds)
    assert bounds[-1].item() == pytest.approx(exact.item(), abs=2e-3)


def test_uniform_density_scores_log2_levels_exactly():
    class Uniform(nn.Module):
        def log_prob(self, x):
            return x.new_full((len(x),), -x[0].numel() * math.log(256))

    x = torch.randint(0, 256, (7, 1, 4, 4))
    bits = -Dequantize(Uniform(), Levels((1, 4, 4), 256)).elbo(x) / (16 * math.log(2))
    torch.testing.assert_close(bits, torch.full((7,), 8.0), rtol=0, atol=1e-12)


def make_noise():
    layer = ConditionalAffine(nn.Linear(3, 2 * 2))
    return FlowNoise(nn.Linear(2, 3), [layer], Levels((2,), 5))


def test_flow_noise_starts_uniform_and_stays_normalised():
    noise, x = make_noise(), torch.tensor([[0.0, 4.0]]).repeat(200_000, 1)
    for p in noise.layers.parameters():
        p.data.zero_()
    torch.testing.assert_close(noise(x)[1], torch.zeros(len(x)), atol=1e-9, rtol=0)
    for p in noise.parameters():
        p.data.copy_(0.4 * torch.randn_like(p))
    u, log_q = noise(x)
    assert u.min() > 0
    assert u.max() < 1
    weights = (-log_q).exp()  # E_q[1 / q] is the volume of the bin
    assert abs(weights.mean() - 1) < 5 * weights.std() / math.sqrt(len(x))
    assert log_q.std() > 0.1


@pytest.mark.parametrize(("shape", "stored"), [((1, 1, 2), torch.uint8), ((2,), torch.int64)])
def test_samples_are_integers_in_range_as_stored(shape, stored):
    flow = Flow([Logit(5)], StandardNormal(shape), Reals(shape))
    drawn = Dequantize(flow, Levels(shape, 5)).sample(500)
    assert drawn.dtype == stored
    assert drawn.unique().tolist() == [0, 1, 2, 3, 4]


def test_temperature_changes_samples_and_not_the_density():
    flow, x = Flow([Scale((2,))], StandardNormal((2,)), Reals((2,))), torch.randn(4, 2)
    before = flow.log_prob(x)
    assert flow.sample(4000, temperature=0.5).std().item() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(flow.log_prob(x), before)


def test_temperature_and_generator_reach_the_flow_inside():
    model = Dequantize(flow2(), Levels((2,), 5))
    seeded = lambda **options: model.sample(  # noqa: E731
        400, generator=torch.Generator().manual_seed(3), **options
    )
    inner = model.flow.sample(400, temperature=4.0, generator=torch.Generator().manual_seed(3))
    assert torch.equal(seeded(temperature=4.0), model.data.stored(inner))
    assert not torch.equal(seeded(temperature=4.0), seeded())


BASES = (StandardNormal((3,)), StandardLogistic((3,)))


@pytest.mark.parametrize("base", BASES, ids=["normal", "logistic"])
def test_base_draws_depend_on_the_generator_alone(base):
    one, same, other = (
        base.sample(5, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert base.sample(0).shape == (0, 3)
    with pytest.raises(ValueError, match="n must be a whole number"):
        base.sample(-1)
    state = torch.get_rng_state()
    base.sample(5, generator=torch.Generator())
    assert torch.equal(state, torch.get_rng_state())


def test_draws_are_made_in_eval_mode_and_every_mode_is_put_back():
    model = systems.flowpp(Levels((1, 4, 4), 5), steps=(1, 1), width=4, dropout=0.5).train()
    with torch.no_grad():  # couplings begin as the identity, whatever their networks drop
        for p in model.parameters():
            p.add_(0.5 * torch.randn_like(p))
    model.flow.layers[0].eval()
    before = [m.training for m in model.modules()]
    draws = [model.sample(6, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*draws)
    assert [m.training for m in model.modules()] == before
    assert model.sample(0).shape == (0, 1, 4, 4)
    assert model.sample(0).dtype == torch.uint8


def test_every_point_of_a_bin_decodes_to_its_integer():
    model, x = systems.glow(Levels((1, 4, 4), 5), steps=(1, 1), width=4), torch.arange(16) % 5
    x = x.view(1, 1, 4, 4).repeat(8, 1, 1, 1)
    codes = model.flow(x + 0.01 + 0.98 * torch.rand(x.shape))[0]
    assert len(codes.unique(dim=0)) == 8
    assert torch.equal(model.decode(codes).long(), x)
    assert torch.equal(model.decode(model.encode(x)).long(), x)


def test_given_masks_and_orders_are_not_saved():
    mask = checkerboard_mask((1, 2, 2))
    assert "mask" not in MaskedCoupling(nn.Conv2d(1, 2, 1), mask).state_dict()
    assert not Permute(3).state_dict()


def flow2():
    return Flow([AffineCoupling(net(1, 2))], StandardNormal((2,)), Reals((2,)))


def binned2():
    return Dequantize(flow2(), Levels((2,), 5))


BAD = {
    "odd channels": (
        lambda: AffineCoupling(net(1, 2))(torch.randn(2, 3)),
        "even number of channels",
    ),
    "odd channels, mixture": (
        lambda: LogisticMixtureCoupling(net(1, 5), 1)(torch.randn(2, 3)),
        "even number of channels",
    ),
    "odd side": (lambda: Squeeze()(torch.randn(1, 1, 3, 4)), "even height and width"),
    "levels too many": (lambda: Multiscale((1, 4, 4), [[], [], []]), "levels must be 1 or more"),
    "no levels": (lambda: Multiscale((1, 4, 4), []), "levels must be 1 or more"),
    "odd height": (lambda: Multiscale((1, 6, 4), [[], []]), "levels must be 1 or more"),
    "odd width": (lambda: Multiscale((1, 4, 6), [[], []]), "levels must be 1 or more"),
    "wrong shape": (lambda: flow2().log_prob(torch.randn(2, 3)), "x must be finite floats"),
    "integers": (lambda: flow2().log_prob(torch.zeros(2, 2).long()), "x must be finite floats"),
    "empty": (lambda: flow2().log_prob(torch.zeros(0, 2)), "x must be finite floats"),
    "NaN": (lambda: flow2().log_prob(torch.full((1, 2), math.nan)), "x .* NaN"),
    "floats for pixels": (lambda: binned2().elbo(torch.zeros(1, 2)), "x must be integers 0 .. 4"),
    "negative pixel": (lambda: binned2().elbo(torch.tensor([[0, -1]])), "x must be integers"),
    "too large pixel": (lambda: binned2().elbo(torch.tensor([[5, 1]])), "x must be integers"),
    "empty pixels": (lambda: binned2().iw_bound(torch.zeros(0, 2).long(), 2), "x must be"),
    "k = 0": (lambda: binned2().iw_bound(torch.zeros(1, 2).long(), 0), "k must be"),
    "k = 1.5": (lambda: binned2().iw_bound(torch.zeros(1, 2).long(), 1.5), "k must be"),
    "n < 0": (lambda: binned2().sample(-1), "n must be"),
    "n = 2.5": (lambda: flow2().sample(2.5), "n must be"),
    "temperature": (lambda: flow2().sample(2, temperature=math.nan), "temperature must be"),
    "codes of NaN": (lambda: binned2().decode(torch.full((1, 2), math.nan)), "z must be"),
    "no width": (lambda: ResidualMLP(2, 2, 0), "width must be"),
    "no hidden unit": (lambda: MLP(2, 2, (8, 0)), "hidden must be"),
    "dropout of NaN": (lambda: MLP(2, 2, dropout=math.nan), "dropout must"),
    "negative blocks": (lambda: ResNet(1, 2, blocks=-1), "blocks at least 0"),
    "negative couplings": (lambda: systems.nice(Levels((2,), 5), couplings=-1), "couplings must"),
    "negative steps": (lambda: systems.glow(Reals((2,)), steps=(-1,)), "steps must"),
    "an odd vector": (lambda: systems.realnvp(Reals((3,))), "data must be"),
    "an odd vector for NICE": (lambda: systems.nice(Reals((3,))), "data must have"),
    "a sequence of vectors": (lambda: systems.glow(Levels((4, 4), 5)), "data must be"),
    "an image of 6 x 4": (lambda: systems.glow(Levels((1, 6, 4), 5)), "data must be"),
    "unknown coupling": (
        lambda: flow_ablation.coupling_ablation(Levels((1, 4, 4), 5), "spline", True, True),
        "coupling must be",
    ),
    "no components": (lambda: LogisticMixtureCoupling(net(1, 2), 0), "components"),
    "alpha": (lambda: Logit(17, alpha=0.5), "alpha"),
    "alpha of histograms": (lambda: MarginalLogit((2,), 17, alpha=0.0), "alpha"),
    "max_log_scale": (lambda: AffineCoupling(net(1, 2), 0.0), "max_log_scale"),
    "mask of ones": (lambda: MaskedCoupling(net(1, 2), torch.ones(1, 2, 2)), "mask"),
    "odd channel mask": (lambda: channel_mask((3, 2, 2)), "even number of channels"),
    "not a permutation": (lambda: Permute(3, torch.tensor([0, 0, 2])), "permutation"),
    "scale of zero": (lambda: Scale((2,), 0.0), "start"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_the_gpu_configuration_of_the_chapter_runs_on_28_by_28_images():
    torch.set_default_dtype(torch.float32)
    (flowpp,) = (entry for entry in systems.ENTRIES if entry.name == "flowpp")
    recipe = flowpp.recipes["mnist_gpu"]
    assert recipe.scale == "gpu"
    model = flowpp.build(Levels((1, 28, 28), 256), **recipe.sizes)
    x = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    loss = model.train().loss(x)
    loss.mean().backward()
    bits = loss / (784 * math.log(2))
    assert ((bits > 7) & (bits < 14)).all()  # no code for uniform noise is shorter than 8 bits
    assert model.eval().sample(2).shape == x.shape


def test_ablation_with_every_part_is_the_flowpp_of_the_digits():
    torch.set_default_dtype(torch.float32)
    digits = Levels((1, 8, 8), 17)
    (recipe,) = (e.recipes["digits"] for e in systems.ENTRIES if e.name == "flowpp")
    x, losses = torch.randint(0, 17, (2, 1, 8, 8)), []
    for make in (
        lambda: systems.flowpp(digits, **recipe.sizes),
        lambda: flow_ablation.coupling_ablation(digits, "mixture", True, True),
    ):
        torch.manual_seed(0)
        losses.append(make().loss(x))
    assert torch.equal(*losses)


def test_the_study_on_file_has_every_cell_under_every_seed_by_the_recipe_of_today():
    study = json.loads(flow_ablation.FILE.read_text())
    assert study["fit"] == systems.DIGITS_FIT
    names = ("coupling", "learned_noise", "mixing", "seed")
    found = [tuple(run[name] for name in names) for run in study["runs"]]
    assert sorted(found) == sorted(
        (*cell, seed) for cell in flow_ablation.CELLS for seed in flow_ablation.SEEDS
    )
