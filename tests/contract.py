"""What is required of every model, one property per function, over the entries of a zoo module.

A room's test file holds three lines, and its own tests below them::

    import contract


    @contract.over("flow")
    def test_contract(entry, promise):
        promise(entry)

`over` pairs every entry with every property, so that a run reads
`test_contract[glow-batch_row_equals_single]`. A property that does not apply to a model skips with
its reason. A departure is stated where it is used::

    @contract.over("mixture", without={"kernel_density": "fits_a_toy_law"})

Most properties are lines of the audit, which has its own tests of planted faults: all of them for
all entries on every run. The toy fit runs for one entry of a module, for all with ``--slow``.
`parts.py` holds the properties of models as parts of others.
"""

import copy
import io
import re
from functools import lru_cache

import pytest
import torch
from parts import serves_as_a_part
from torch import nn

from dgm import zoo
from dgm.audit import Report, audit
from dgm.data.toy import two_gaussians
from dgm.distribution.support import Levels, Reals
from dgm.train import fit

VALUES = ("log_prob", "elbo", "loss")
TOY_ATTEMPTS = 8
FITTED = {"sequence": "token_lstm"}  # where the first entry of a module is not a quick one
KINDS = (
    Reals((2,)), Levels((1, 2, 2), 3), Levels((4,), 3), Levels((4,), 2), Reals((3,)),
    Levels((1, 4, 4), 2), Levels((2, 4, 6), 4), Levels((5,), 7), Reals((1, 4, 4)),
)  # fmt: skip


def over(room: str, without: dict[str, str] | None = None):
    """Parametrise a test over (entry, promise); `without` maps entry names to left-out promises."""
    found = [zoo.get(name) for name, module in zoo.modules().items() if module == room]
    if not found:
        raise ValueError(f"the zoo has no module {room!r} with entries")
    without = without or {}
    unknown = set(without) - {entry.name for entry in found}
    left_out = {name for names in without.values() for name in names.split()}
    unknown |= left_out - {promise.__name__ for promise in PROMISES}
    if unknown:
        raise ValueError(f"without names what is not there: {', '.join(sorted(unknown))}")
    fits = [e.name for e in found if "fits_a_toy_law" not in without.get(e.name, "").split()]
    fitted = FITTED.get(room, (fits or [""])[0])
    pairs = []
    for entry in found:
        for promise in PROMISES:
            if promise.__name__ in without.get(entry.name, "").split():
                continue
            name = f"{entry.name}-{promise.__name__}"
            later = promise is fits_a_toy_law and entry.name != fitted
            marks = [pytest.mark.slow] if later else []
            pairs.append(pytest.param(entry, promise, id=name, marks=marks))
    return pytest.mark.parametrize(("entry", "promise"), pairs)


# --- what the properties look at ------------------------------------------------------------------


def tiny(entry, seed=0):
    """A small model of the entry in eval mode, a batch, its labels or None."""
    model, x, *y = entry.small(seed)
    return model.eval(), x, (y[0] if y else None)


def moved(model, std):
    """Every parameter moved away from where it starts, by noise of this size; eval mode."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(std * torch.randn_like(parameter))
    return model.eval()


@lru_cache(maxsize=4)
def report_of(name: str, part: str) -> Report | None:
    """The audit of an entry's small model or of a part, made once for all promises.

    Of a dequantised model: "flow" is the flow inside it; "plane" and "grid" are small models of
    points of the plane and of a 4 x 4 grid, where integrals and bin masses are exact.
    """
    entry = zoo.get(name)
    model, x, y = tiny(entry)
    if part == "itself":
        levels = getattr(model.data, "levels", None)
        return audit(model, x, y=y, levels=levels, progress=False)
    if not hasattr(model, "dequantize"):
        return None
    torch.manual_seed(0)
    if part == "flow":
        return audit(model.flow, model.dequantize(x)[0].detach(), progress=False)
    kind = Reals((2,)) if part == "plane" else Levels((2,), 4)
    x = torch.randn(16, 2) if part == "plane" else torch.randint(4, (16, 2))
    return audit(entry.build(kind, **entry.tiny.sizes), x, progress=False)


def passes(entry, *names, of=("itself", "flow")):
    """Assert these lines of the audits of these parts; skip when none of them applies."""
    reports = [report for part in of if (report := report_of(entry.name, part))]
    checks = [report[name] for report in reports for name in names]
    if all(c.verdict == "n/a" for c in checks):
        pytest.skip(checks[0].note)
    failed = [
        f"{c.name}: {c.cells[1]} > {c.cells[2]} {c.note}" for c in checks if c.verdict == "FAIL"
    ]
    assert not failed, f"{entry.name}: " + "; ".join(failed)


def values(model, x, y=None):
    """Every per-example value the model offers, under one noise."""
    found = {}
    for name in VALUES:
        if hasattr(model, name):
            torch.manual_seed(0)
            labelled = () if y is None or name != "loss" else (y,)
            found[name] = getattr(model, name)(x, *labelled).detach()
    return found


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def needs(model, *names):
    """Skip where the model lacks a method."""
    for name in names:
        if not hasattr(model, name):
            pytest.skip(f"no {name}")


# --- all ------------------------------------------------------------------------------------------


def shapes_are_right_and_finite(entry):  # 1
    passes(entry, "shape (B,) and finite", "samples are well formed")


def batch_row_equals_single(entry):  # 2
    passes(entry, "one example = its row in a batch")


def state_dict_restores_numbers_after_training(entry):  # 3
    model, x, y = tiny(entry)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    if trained:
        step = torch.optim.SGD(trained, lr=1e-3)
        (model.loss(x) if y is None else model.loss(x, y)).mean().backward()
        step.step()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = tiny(entry, seed=1)[0]
    other.load_state_dict(torch.load(file, weights_only=True))
    for name, value in values(model.eval(), x, y).items():
        assert torch.equal(values(other.eval(), x, y)[name], value), name


def tensors_are_registered_in_both_precisions(entry):  # 3
    passes(entry, "every tensor is registered", "state_dict round trip", "float32 = float64")


def moves_to_another_device(entry):  # 3
    if not torch.cuda.is_available():
        pytest.skip("no other device")
    model, x, y = tiny(entry)
    y = None if y is None else y.cuda()
    for name, value in values(copy.deepcopy(model).cuda(), x.cuda(), y).items():
        assert value.is_cuda, name
    if hasattr(model, "sample"):
        generator = torch.Generator("cuda").manual_seed(0)
        assert model.cuda().sample(2, generator=generator).is_cuda


def every_parameter_gets_gradient(entry):  # 4
    passes(entry, "every parameter gets a gradient")


def eval_mode_is_deterministic_and_changes_nothing(entry):  # 5
    passes(entry, "eval mode: same twice, no change")


def fits_a_toy_law(entry):  # 6
    """Held-out nats within 0.1 of the entropy, and never significantly below it.

    A bound is taken with 64 draws where it can be: its gap to log p is no misfit.
    """
    if not any(hasattr(tiny(entry)[0], name) for name in ("log_prob", "iw_bound", "elbo")):
        pytest.skip("a code: it has no density and no bound on one")
    torch.manual_seed(0)
    model, law, train, test = toy(entry)
    if hasattr(model, "start_from"):
        model.start_from(train)
    for attempt in range(TOY_ATTEMPTS):  # the quick ones stop early
        fit(model, train, steps=200, batch_size=256, lr=5e-3, seed=attempt, progress=False)
        with torch.no_grad():
            excess = law(test) - nats(model, test)  # its mean is the divergence of model from law
        if excess.mean() <= 0.1:
            break
    error = 4 * excess.std() / len(excess) ** 0.5
    assert -error <= excess.mean() <= 0.1, (
        f"{entry.name}: {excess.mean():.3f} nats over the entropy"
    )


def nats(model, x):
    """The best the model can say about log p(x), (B,): exact, or a bound."""
    if hasattr(model, "log_prob"):
        return model.log_prob(x)
    if not hasattr(model, "iw_bound"):
        return model.elbo(x)
    return torch.cat([model.iw_bound(part, 64) for part in x.split(500)])


def toy(entry):
    """An untrained model, log p of the law, training and held-out draws: plane, images, tokens."""
    model = built(entry, Reals((2,)))
    if model is not None:
        plane = two_gaussians(4000, noise=0.75)
        return model, plane.law.log_prob, plane.train, plane.test
    digits = torch.cartesian_prod(*[torch.arange(3)] * 4)
    model = built(entry, Levels((1, 2, 2), 3))
    if model is not None:
        digits = digits.view(81, 1, 2, 2).to(torch.uint8)
    else:
        model = entry.build(Levels((4,), 3))
    centres = torch.tensor([[0.0, 0, 0, 2], [2, 2, 0, 0], [1, 2, 2, 2]])
    log_p = torch.logsumexp(-torch.cdist(digits.flatten(1).float(), centres).square(), 1)
    log_p = log_p.log_softmax(0)
    rows = torch.multinomial(log_p.exp(), 12_000, replacement=True)
    place = torch.tensor([27, 9, 3, 1])
    law = lambda x: log_p[(x.flatten(1).long() * place).sum(1)]  # noqa: E731
    return model, law, digits[rows[:8000]], digits[rows[8000:]]


# --- the data a model is of -----------------------------------------------------------------------


def built(entry, kind, **sizes):
    """The model of this kind of data; None where the builder says that it cannot be."""
    try:
        return entry.build(kind, **sizes)
    except ValueError as error:
        if not re.search(r"\bdata\b", str(error)):
            raise AssertionError(f"{entry.name} of {kind!r} {kind.shape}: {error}") from error
        return None


def models_any_data_or_says_why_not(entry):  # 25
    """A builder makes a model that works, or a ValueError that names data."""
    works = 0
    for kind in KINDS:
        torch.manual_seed(0)
        model = built(entry, kind)
        if model is None:
            continue
        size = (3, *kind.shape)
        integers = isinstance(kind, Levels)
        x = kind.stored(torch.randint(kind.levels, size) if integers else torch.randn(size))
        labels = getattr(model, "condition", None)
        y = () if labels is None else (torch.randint(labels.levels, (3,)),)
        loss = model.loss(x, *y)
        assert loss.shape == (3,), kind.shape
        assert loss.isfinite().all(), kind.shape
        works += 1
    assert works, "it models none of these"


def holds_its_data_and_no_copy_of_what_they_say(entry):
    model = tiny(entry)[0]
    assert model.data == entry.tiny.data
    assert not hasattr(model, "levels")
    assert not hasattr(model, "shape")


def refuses_bad_input(entry):  # 25
    """A ValueError that names the argument, and a model that works as before."""
    model, x, y = tiny(entry)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    good = values(model, x, y)
    for what, bad in bad_batches(model, x).items():
        for name in good:
            error = raised_by(getattr(model, name), bad, y if name == "loss" else None)
            assert isinstance(error, ValueError), f"{name} of {what}: {error!r}"
            assert re.search(r"\bx\b", str(error)), f"{name} of {what} does not name x: {error}"
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k]), k
    assert all(torch.equal(v, good[n]) for n, v in values(model, x, y).items())


def raised_by(method, x, y):
    """The exception a call raises, or None."""
    try:
        method(x) if y is None else method(x, y)
    except Exception as error:
        return error
    return None


def bad_batches(model, x):
    """Batches no model may accept, by what is wrong with them."""
    bad = {"an empty batch": x[:0], "a wrong shape": torch.cat((x, x), -1)}
    if x.dim() == 2:
        bad["rows without entries"] = x[:, :0]  # an empty sequence, a table of no columns
    if x.is_floating_point():
        return bad | {"NaN": x * float("nan"), "infinity": x / 0.0, "integers": x.long()}
    too_large = torch.full_like(x.long(), model.data.levels)
    return bad | {
        "too large values": too_large,
        "negative values": -1 - x.long(),
        "halves": x + 0.5,
    }


# --- drawing --------------------------------------------------------------------------------------


def draws_are_those_of_the_generator(entry):  # 8a
    """Equal generators, equal draws; the global stream stays where it is."""
    model = tiny(entry)[0]
    needs(model, "sample")
    torch.manual_seed(0)
    stream = torch.get_rng_state()
    first, again, other = (model.sample(40, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), stream), "the global stream moved"
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, model.sample(40))
    assert not torch.equal(torch.get_rng_state(), stream), "without a generator it must"


def draws_the_same_in_both_modes_and_puts_them_back(entry):  # 8a
    """In training the draw is that of eval mode, takes no gradient and changes no tensor."""
    model = tiny(entry)[0]
    needs(model, "sample")
    expected = model.sample(10, generator=seeded(1))
    model.train()
    for module in list(model.modules())[2::3]:  # some parts frozen, as readers do
        module.training = False
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = model.sample(10, generator=seeded(1))
    assert torch.equal(drawn, expected)
    assert not drawn.requires_grad
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def draws_data_as_stored_also_none(entry):  # 8a
    model, x, _ = tiny(entry)
    needs(model, "sample")
    one, none = model.sample(1), model.sample(0)
    assert none.shape == (0, *model.data.shape)
    assert none.dtype == one.dtype == (x.dtype if x.is_floating_point() else one.dtype)
    assert one.dtype == model.data.stored(one).dtype
    assert torch.equal(model.data.check(one).to(one.dtype), one)
    for n in (-1, 1.5, True, "3"):
        with pytest.raises(ValueError, match=r"\bn must be"):
            model.sample(n)


# --- what the methods mean ------------------------------------------------------------------------


def terms_are_parts_of_the_objective(entry):
    """A dict of (B,); those of a bound give the elbo, those of a mass add up to log p(x)."""
    model, x, _ = tiny(entry)
    needs(model, "terms")
    torch.manual_seed(0)
    terms = model.terms(x)
    assert terms
    assert all(isinstance(name, str) and t.shape == (len(x),) for name, t in terms.items())
    assert all(t.isfinite().all() for t in terms.values())
    if hasattr(model, "elbo") and {"reconstruction", "kl"} <= terms.keys():
        torch.manual_seed(0)
        elbo = terms["reconstruction"] - terms["kl"]
        torch.testing.assert_close(model.elbo(x), elbo)
    elif hasattr(model, "log_prob"):
        torch.testing.assert_close(sum(terms.values()), model.log_prob(x))


def place_terms_add_up(entry):
    model, x, _ = tiny(entry)
    needs(model, "place_terms")
    terms = model.place_terms(x)
    assert terms.shape == x.shape
    torch.testing.assert_close(terms.flatten(1).sum(1), model.log_prob(x))


def joint_log_prob_sums_to_log_prob(entry):
    """(B, K), and its logsumexp over the causes is log p(x)."""
    model, x, y = tiny(entry)
    needs(model, "joint_log_prob", "log_prob")
    if hasattr(model, "condition") and y is None:
        pytest.skip("no labels")
    joint = model.joint_log_prob(x)
    assert joint.shape[:1] == x.shape[:1]
    assert joint.ndim == 2
    torch.testing.assert_close(joint.logsumexp(1), model.log_prob(x))


def posterior_is_a_law(entry):
    """``rsample`` (of causes that are counted: ``sample``) and ``log_prob`` of what it drew, (B,).

    The prior and the likelihood take it too.
    """
    model, x, _ = tiny(entry)
    needs(model, "posterior")
    posterior = model.posterior(x)
    z = posterior.rsample() if getattr(posterior, "has_rsample", True) else posterior.sample()
    assert len(z) == len(x)
    assert posterior.log_prob(z).shape == (len(x),)
    if hasattr(model, "prior"):
        assert model.prior.log_prob(z).shape == (len(x),)
    if hasattr(model, "likelihood"):
        assert model.likelihood(z).log_prob(x).shape == (len(x),)


def start_from_starts_nearer_to_the_data(entry):
    """From data that show half of the levels, or that lie far out; it may have nothing to do."""
    kind, model = entry.tiny.data, tiny(entry)[0]
    needs(model, "start_from")
    torch.manual_seed(0)
    model, size = entry.build(kind, **entry.tiny.sizes).eval(), (64, *kind.shape)
    levels = isinstance(kind, Levels)
    x = torch.randint(max(1, kind.levels // 2), size) if levels else 3 + 0.3 * torch.randn(size)
    x = kind.stored(x)
    before, state = values(model, x)["loss"].mean(), copy.deepcopy(model.state_dict())
    assert model.start_from(x) is None
    after = values(model.eval(), x)["loss"].mean()
    same = all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert after == before if same else after < before


# --- densities, chains, bounds, flows -------------------------------------------------------------


def sums_or_integrates_to_one(entry):  # 9
    names = ("sums or integrates to one", "exp(elbo) sums to one")
    passes(entry, *names, of=("itself", "flow", "plane"))


def samples_agree_with_density(entry):  # 10
    names = ("samples follow the density", "samples follow the conditionals")
    names += ("samples obey Stein's identity", "samples obey the Gibbs identity")
    passes(entry, *names, "samples = prior, then x|z", of=("itself", "flow", "plane"))


def bin_masses_are_those_of_the_levels(entry):  # 9, 10, 11
    names = ("bin masses sum to one", "samples follow the bin masses")
    names += ("exp(elbo) averages to the bin mass", "noise fills its bin")
    passes(entry, *names, "uniform scores log2(levels) bits", of=("itself", "grid"))


def causal_in_the_stated_order(entry):  # 15
    """Checked wherever the parameters of the conditionals can be asked for; a mixture has none."""
    leak = report_of(entry.name, "itself")["no leak from the future"]
    model = tiny(entry)[0]
    if hasattr(model, "place_terms") and type(model).forward is not nn.Module.forward:
        assert leak.verdict != "n/a", f"{entry.name}: {leak.note}"
    passes(entry, "no leak from the future", "log_prob = sum of conditionals")


def latent_parts_are_densities(entry):  # 16
    names = ("posterior draws follow log q", "prior samples follow its density")
    passes(entry, *names, "p(x|z) sums or integrates to one", "samples of x|z follow p(x|z)")


def bounds_are_bounds(entry):  # 11, 16
    names = ("elbo = log p(x, z) - log q", "kl term = log q - log p(z)", "iw_bound rises with k")
    names += ("elbo = iw_bound(1) in mean", "iw_bound = log mean of k weights", "bounds <= exact")
    passes(entry, *names)


def inverse_undoes_forward(entry):  # 12
    passes(entry, "round trip", of=("itself", "flow", "plane", "grid"))


def log_det_is_the_autograd_one(entry):  # 13
    passes(entry, "log_det = autograd", of=("itself", "flow", "plane", "grid"))


PROMISES = (
    shapes_are_right_and_finite,
    batch_row_equals_single,
    state_dict_restores_numbers_after_training,
    tensors_are_registered_in_both_precisions,
    moves_to_another_device,
    every_parameter_gets_gradient,
    eval_mode_is_deterministic_and_changes_nothing,
    fits_a_toy_law,
    models_any_data_or_says_why_not,
    holds_its_data_and_no_copy_of_what_they_say,
    refuses_bad_input,
    draws_are_those_of_the_generator,
    draws_the_same_in_both_modes_and_puts_them_back,
    draws_data_as_stored_also_none,
    terms_are_parts_of_the_objective,
    place_terms_add_up,
    joint_log_prob_sums_to_log_prob,
    posterior_is_a_law,
    start_from_starts_nearer_to_the_data,
    serves_as_a_part,
    sums_or_integrates_to_one,
    samples_agree_with_density,
    causal_in_the_stated_order,
    latent_parts_are_densities,
    bounds_are_bounds,
    bin_masses_are_those_of_the_levels,
    inverse_undoes_forward,
    log_det_is_the_autograd_one,
)
