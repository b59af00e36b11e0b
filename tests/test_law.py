"""Laws of one value given those before: normalised, any leading axes, draws and temperatures."""

import math
from functools import partial

import contract
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from dgm.autoregressive.law import LevelLaw, LogisticMixtureLaw, MixtureLaw
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.distribution.support import Levels, Reals

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.5)

OF_LEVELS = {
    "softmax": lambda: LevelLaw(5, size=3),
    "features": lambda: LevelLaw(5, size=3, n_features=2),
    "plain": lambda: LevelLaw(5, size=3, background=False),
    "logistics": lambda: LogisticMixtureLaw(DiscretizedLogisticMixture, 5, 3, n_components=2),
}
LAWS = {**OF_LEVELS, "gaussians": lambda: MixtureLaw(3, n_components=2)}
each_law = pytest.mark.parametrize("name", LAWS)
each_law_of_levels = pytest.mark.parametrize("name", OF_LEVELS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@each_law_of_levels
def test_masses_sum_to_one_and_log_prob_reads_the_table(name):
    law = randomized(OF_LEVELS[name]())
    params = law(torch.randn(7, 3, law.out_features))
    table = law.table(params)
    assert table.shape == (7, 3, 5)
    torch.testing.assert_close(table.exp().sum(-1), torch.ones(7, 3))
    v = torch.randint(5, (7, 3))
    torch.testing.assert_close(law.log_prob(params, v), table.gather(-1, v[..., None])[..., 0])


@each_law
def test_one_place_alone_is_its_row(name):
    law = randomized(LAWS[name]())
    out = torch.randn(7, 3, law.out_features)
    for t in range(3):
        torch.testing.assert_close(law(out[:, t : t + 1], t), law(out)[:, t : t + 1])


@each_law
def test_leading_axes_are_free(name):
    law = randomized(LAWS[name]())
    out = torch.randn(4, 7, 3, law.out_features)  # labels, batch, places
    v = torch.randint(5, (7, 3)) if name in OF_LEVELS else torch.randn(7, 3)
    each = torch.stack([law.log_prob(law(o), v) for o in out])
    torch.testing.assert_close(law.log_prob(law(out), v), each)
    assert law.draw(law(out)[:, :, 0]).shape == (4, 7)


@each_law_of_levels
@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_draws_follow_the_power_of_the_masses(name, temperature):
    law = randomized(OF_LEVELS[name]())
    params = law(torch.randn(1, 3, law.out_features))[0, :1]  # (1, K)
    p = (law.table(params)[0] / temperature).softmax(0)
    drawn = law.draw(params.expand(20_000, -1), temperature, None, generator())
    share = torch.bincount(drawn, minlength=5) / 20_000
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / 20_000).sqrt() + 1e-9).all()


@each_law_of_levels
def test_adjust_has_the_last_word(name):
    law = randomized(OF_LEVELS[name]())
    params = law(torch.randn(9, 3, law.out_features))[:, 0]
    never_4 = lambda h: h.masked_fill(torch.arange(5) == 4, -math.inf)  # noqa: E731
    assert (law.draw(params.repeat(200, 1), 1.0, never_4) < 4).all()


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_temperature_of_a_gaussian_is_its_variance(temperature):
    law = randomized(MixtureLaw(1, n_components=1))
    params = law(torch.randn(1, 1, 3))[0]
    drawn = law.draw(params.expand(20_000, -1), temperature, None, generator())
    mean, scale = params[0, 1], params[0, 2].exp() * math.sqrt(temperature)
    assert abs(drawn.mean() - mean) < 4.5 * scale / math.sqrt(20_000)
    assert drawn.std().item() == pytest.approx(scale.item(), rel=0.03)


def test_gaussians_are_those_of_torch_distributions():
    law = randomized(MixtureLaw(3, 4))
    law.mean.copy_(torch.randn(3))
    law.scale.copy_(torch.rand(3) + 0.5)
    v = torch.randn(6, 3) * 2
    params = law(torch.randn(6, 3, 12))
    log_w, mean, log_s = params.chunk(3, -1)
    reference = MixtureSameFamily(Categorical(logits=log_w), Normal(mean, log_s.exp()))
    torch.testing.assert_close(law.log_prob(params, v), reference.log_prob(v))


def test_logistics_start_spread_over_the_levels_and_take_their_place():
    law = LogisticMixtureLaw(DiscretizedLogisticMixture, 17, size=2, n_components=3)
    start = law(torch.zeros(1, 2, 9))[0]
    torch.testing.assert_close(start[0, 3:6], torch.tensor([-0.5, 0.0, 0.5]))
    table = law.table(start)
    assert table[0].max() - table[0].min() < math.log(20)  # no level is left out
    with torch.no_grad():
        law.background[1, 3:6] = 1.0
    assert law.table(law(torch.zeros(1, 2, 9)))[0, 1].argmax() == 16


@pytest.mark.parametrize("name", ["softmax", "features"])
def test_a_background_starts_at_the_frequencies_in_the_order(name):
    law, data = OF_LEVELS[name](), Levels((1, 3), 5)
    x = torch.randint(5, (50, 1, 3)) * torch.tensor([1, 0, 1])
    law.start_from(x, data, order=torch.tensor([2, 0, 1]))
    share = data.frequencies(x)[0]  # (3, levels)
    found = law(torch.zeros(1, 3, law.out_features))[0].exp()
    torch.testing.assert_close(found, share[[2, 0, 1]])


def test_gaussians_start_at_mean_and_spread_in_the_order():
    law, x = MixtureLaw(2), torch.randn(500, 2) * torch.tensor([1.0, 3.0]) + torch.tensor([5.0, 0])
    law.start_from(x, Reals((2,)), order=torch.tensor([1, 0]))
    torch.testing.assert_close(law.mean, x.mean(0).flip(0))
    torch.testing.assert_close(law.scale, x.std(0).flip(0))


@each_law
def test_equal_generators_give_equal_draws_and_leave_the_global_stream_alone(name):
    law = randomized(LAWS[name]())
    params = law(torch.randn(60, 3, law.out_features))[:, 0]
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again, other = (law.draw(params, generator=generator(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: LevelLaw(1, 4), "levels"),
        (lambda: LevelLaw(3, 0), "size"),
        (lambda: LevelLaw(3, 4, n_features=0), "n_features"),
        (lambda: MixtureLaw(2, 0), "n_components"),
        (lambda: LogisticMixtureLaw(DiscretizedLogisticMixture, 5, 2, 0), "n_components"),
        (lambda: MixtureLaw(1).draw(torch.zeros(2, 30), adjust=torch.neg), "adjust"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()
