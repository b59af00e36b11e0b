"""What is required of every model, one property per function, over the entries of the zoo.

A family's test file holds three lines, and its own tests below them::

    import contract


    @contract.over("mixture")
    def test_contract(entry, promise):
        promise(entry)

`over` pairs every entry of the family with every property, so that a run reads
`test_contract[glow-batch_row_equals_single]`. A property that does not apply to a model skips with
its reason. A departure is stated where it is used::

    @contract.over("mixture", without={"kernel_density": "fits_a_toy_law"})

Most properties are lines of the audit, which has its own tests of planted faults. An entry's
`tiny(seed)` gives (model, x) or (model, x, y), the same architecture for every seed; its
`build((2,), None)` or, for integer data only, `build((1, 2, 2), 3)` or `build((4,), 3)` must make a
model that learns a toy (`start_from(x)`, where a model has it, is called first).
"""

import copy
import io
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

import dgm
from dgm import zoo
from dgm.audit import Report, audit
from dgm.data.toy import two_gaussians
from dgm.train import fit

VALUES = ("log_prob", "elbo", "loss")
TOY_ATTEMPTS = 4


def over(family: str, chapter: str = "", without: dict[str, str] | None = None):
    """Parametrise a test over (entry, promise); `without` maps entry names to left-out promises.

    `chapter` keeps to the entries of one chapter, where a family fills several.
    """
    without = without or {}
    found = [e for e in zoo.entries().values() if e.family == family]
    found = [e for e in found if e.chapter.startswith(chapter)]
    if not found:
        raise ValueError(f"the zoo has no entry of the family {family!r} in chapter {chapter!r}")
    pairs = [
        pytest.param(entry, promise, id=f"{entry.name}-{promise.__name__}")
        for entry in found
        for promise in PROMISES
        if promise.__name__ not in without.get(entry.name, "").split()
    ]
    return pytest.mark.parametrize(("entry", "promise"), pairs)


def tiny(entry, seed=0):
    """A small model of the entry in eval mode, a batch, its labels or None."""
    model, x, *y = entry.tiny(seed)
    return model.eval(), x, (y[0] if y else None)


def moved(model, std):
    """Every parameter moved away from where it starts, by noise of this size; eval mode."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(std * torch.randn_like(parameter))
    return model.eval()


@lru_cache(maxsize=1)
def reports_of(name: str) -> list[Report]:
    """Audits of an entry's small model, made once for all promises.

    A dequantised model is also audited as the flow inside it, and on a plane and a 4 x 4 grid,
    where integrals and bin masses are exact.
    """
    entry = zoo.get(name)
    model, x, y = tiny(entry)
    levels = None if x.is_floating_point() else levels_of(model, x)
    reports = [audit(model, x, y=y, levels=levels)]
    if hasattr(model, "dequantize"):
        torch.manual_seed(0)
        reports.append(audit(model.flow, model.dequantize(x)[0].detach()))
        reports.append(audit(entry.build((2,), None), torch.randn(16, 2)))
        reports.append(audit(entry.build((2,), 4), torch.randint(4, (16, 2))))
    return reports


def levels_of(model, x):
    """Values an integer can take: the model's own word, or what the batch shows."""
    return getattr(model, "levels", int(x.max()) + 1)


def passes(entry, *names):
    """Assert these lines of the audits; skip when none of them applies."""
    checks = [report[name] for report in reports_of(entry.name) for name in names]
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
    assert not hasattr(model, "sample") or model.cuda().sample(2).is_cuda


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
        fit(model, train, steps=400, batch_size=256, lr=5e-3, seed=attempt, progress=False)
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
    try:
        model = entry.build((2,), None)
        plane = two_gaussians(4000, noise=0.75)
        return model, plane.law.log_prob, plane.train, plane.test
    except (TypeError, ValueError):
        pass
    digits = torch.cartesian_prod(*[torch.arange(3)] * 4)
    try:
        model, digits = entry.build((1, 2, 2), 3), digits.view(81, 1, 2, 2).to(torch.uint8)
    except (TypeError, ValueError):
        model = entry.build((4,), 3)
    centres = torch.tensor([[0.0, 0, 0, 2], [2, 2, 0, 0], [1, 2, 2, 2]])
    log_p = torch.logsumexp(-torch.cdist(digits.flatten(1).float(), centres).square(), 1)
    log_p = log_p.log_softmax(0)
    rows = torch.multinomial(log_p.exp(), 12_000, replacement=True)
    place = torch.tensor([27, 9, 3, 1])
    law = lambda x: log_p[(x.flatten(1).long() * place).sum(1)]  # noqa: E731
    return model, law, digits[rows[:8000]], digits[rows[8000:]]


def files_exist_on_the_ground_floor(entry):  # 7: test_architecture.py runs them alone
    root = Path(dgm.__file__).parent
    assert entry.files
    for file in entry.files:
        assert (root / file).is_file(), f"{entry.name} names {file}, which does not exist"
        assert "from dgm" not in (root / file).read_text(), file


def sums_or_integrates_to_one(entry):  # 9
    passes(entry, "sums or integrates to one", "exp(elbo) sums to one", "bin masses sum to one")


def samples_agree_with_density(entry):  # 10
    names = ("samples follow the density", "samples follow the bin masses")
    passes(entry, *names, "samples follow the conditionals", "samples = prior, then x|z")


def causal_in_the_stated_order(entry):  # 15
    """Checked wherever the parameters of the conditionals can be asked for; a mixture has none."""
    leak = reports_of(entry.name)[0]["no leak from the future"]
    if entry.family == "autoregressive" and type(tiny(entry)[0]).forward is not nn.Module.forward:
        assert leak.verdict != "n/a", f"{entry.name}: {leak.note}"
    passes(entry, "no leak from the future", "log_prob = sum of conditionals")


def latent_parts_are_densities(entry):  # 16
    names = ("posterior draws follow log q", "prior samples follow its density")
    passes(entry, *names, "p(x|z) sums or integrates to one", "samples of x|z follow p(x|z)")


def bounds_are_bounds(entry):  # 11, 16
    names = ("elbo = log p(x, z) - log q", "kl term = log q - log p(z)", "iw_bound rises with k")
    names += ("elbo = iw_bound(1) in mean", "iw_bound = log mean of k weights", "bounds <= exact")
    passes(entry, *names, "exp(elbo) averages to the bin mass")


def noise_and_bits_are_counted(entry):
    passes(entry, "noise fills its bin", "uniform scores log2(levels) bits")


def inverse_undoes_forward(entry):  # 12
    passes(entry, "round trip")


def log_det_is_the_autograd_one(entry):  # 13
    passes(entry, "log_det = autograd")


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
    too_large = torch.full_like(x.long(), getattr(model, "levels", 1000))
    return bad | {
        "too large values": too_large,
        "negative values": -1 - x.long(),
        "halves": x + 0.5,
    }


PROMISES = (
    shapes_are_right_and_finite,
    batch_row_equals_single,
    state_dict_restores_numbers_after_training,
    tensors_are_registered_in_both_precisions,
    moves_to_another_device,
    every_parameter_gets_gradient,
    eval_mode_is_deterministic_and_changes_nothing,
    fits_a_toy_law,
    files_exist_on_the_ground_floor,
    sums_or_integrates_to_one,
    samples_agree_with_density,
    causal_in_the_stated_order,
    latent_parts_are_densities,
    bounds_are_bounds,
    noise_and_bits_are_counted,
    inverse_undoes_forward,
    log_det_is_the_autograd_one,
    refuses_bad_input,
)
