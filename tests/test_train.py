"""train.fit: what it promises about weights, noise, validation, divergence, and bad input."""

import math
import time

import pytest
import torch
from torch import nn

from dgm.distribution.support import Levels
from dgm.train import TrainingDiverged, fit, steps_in
from dgm.train.batches import Batches


class Gaussian(nn.Module):
    """Mean and log-scale of a normal law; the loss is exact, or noisy, or data-initialised."""

    def __init__(self, noise=0.0, data_dependent=False):
        super().__init__()
        self.mu, self.log_sigma = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        self.register_buffer("ready", torch.tensor(not data_dependent))
        self.noise, self.modes, self.seen = noise, [], []

    def loss(self, x):
        self.modes.append(self.training)
        self.seen.append(x)
        if not self.ready:
            assert self.training, "initialised from data outside training"
            self.mu.data.copy_(x.mean(0))
            self.ready.fill_(True)
        z = (x + self.noise * torch.randn_like(x) - self.mu) * (-self.log_sigma).exp()
        return (0.5 * z**2 + self.log_sigma + 0.5 * math.log(2 * math.pi)).sum(1)


def law(n=1000, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=g) * torch.tensor([0.5, 2.0]) + torch.tensor([3.0, -1.0])


def run(model, data=None, **options):
    settings = {"steps": 60, "eval_every": 20, "lr": 0.05, "progress": False} | options
    return fit(model, law() if data is None else data, **settings)


def test_the_closed_form_optimum_is_reached():
    x, model = law(), Gaussian()
    run(model, x, steps=400, batch_size=1000, lr=0.1)
    torch.testing.assert_close(model.mu.detach(), x.mean(0), atol=1e-3, rtol=0)
    spread = x.std(0, correction=0)
    torch.testing.assert_close(model.log_sigma.detach().exp(), spread, atol=2e-3, rtol=0)


def test_one_step_equals_the_step_written_by_hand():
    x, model, twin = law(64), Gaussian(), Gaussian()
    run(model, x, steps=1, optimizer=torch.optim.SGD, schedule="constant")
    twin.loss(x).mean().backward()
    for moved, start in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(moved.detach(), (start - 0.05 * start.grad).detach())


def test_the_same_seed_gives_the_same_weights_and_the_callers_noise_is_untouched():
    models = [Gaussian(noise=0.3) for _ in range(3)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for model, seed, other in zip(models, (1, 1, 2), (7, 8, 7), strict=True):
        torch.manual_seed(other)
        run(model, seed=seed)
        torch.manual_seed(other)
        expected = torch.get_rng_state()
        run(Gaussian(noise=0.3), seed=seed)
        assert torch.equal(torch.get_rng_state(), expected)
    assert torch.equal(models[0].mu, models[1].mu)
    assert not torch.equal(models[0].mu, models[2].mu)
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_holds_each_row_once_and_the_next_one_another_order():
    rows = torch.arange(10)
    batches = Batches((rows,), 5, seed=3)
    epochs = [torch.cat([batches(2 * e)[0], batches(2 * e + 1)[0]]) for e in range(3)]
    assert all(torch.equal(epoch.sort().values, rows) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3


def test_processes_share_the_rows_of_one_larger_batch():
    x = torch.arange(40)
    whole = Batches((x,), 8, seed=1)
    parts = [Batches((x,), 4, seed=1, rank=rank, processes=2) for rank in range(2)]
    for step in range(12):
        assert torch.equal(whole(step)[0], torch.cat([part(step)[0] for part in parts]))


def test_rows_of_several_tensors_stay_together_and_only_the_first_is_augmented():
    x = torch.arange(50.0)
    batch = Batches((x, 10 * x), 7, augment=lambda x, step: x + 1000 + step - 3)(3)
    assert torch.equal(10 * (batch[0] - 1000), batch[1])


def test_the_best_weights_by_validation_are_restored():
    model, val = Gaussian(), law(200, seed=1)
    done = run(model, val=val, steps=400, lr=1.0, schedule="constant", batch_size=8, eval_every=10)
    assert done.best_val == min(done.val_loss)
    assert done.best_step == done.val_steps[done.val_loss.index(done.best_val)] != 400
    assert model.loss(val).mean().item() == pytest.approx(done.best_val, abs=1e-5)
    assert not model.training


def test_no_two_steps_meet_the_same_noise():
    drawn = []
    run(Gaussian(), augment=lambda x, step: drawn.append(torch.rand(()).item()) or x)
    assert len(set(drawn)) == 60


def test_validation_meets_the_same_noise_each_time():
    model = Gaussian(noise=1.0)
    done = run(model, val=law(50), optimizer=torch.optim.SGD, schedule=lambda step: 0.0)
    assert len(set(done.val_loss)) == 1
    assert len(set(done.train_loss)) > 1


def test_validation_is_in_eval_mode_over_every_row_and_training_in_train_mode():
    model, val = Gaussian(), law(600, seed=2)
    run(model, val=val, steps=20)
    assert model.modes == [True] * 20 + [False] * 3
    assert torch.equal(torch.cat(model.seen[-3:]), val)


def test_validation_counts_every_row_once_though_its_last_batch_is_short():
    """A mean of the means of 256 and 44 rows would weigh the last ones six times."""
    val = torch.cat((law(256, seed=2), law(44, seed=3) + 9))
    model = Gaussian()
    done = run(model, val=val, steps=20)
    assert done.best_val == pytest.approx(model.loss(val).mean().item(), rel=1e-6)


def test_augmentation_is_told_the_step():
    steps = []
    run(Gaussian(), augment=lambda x, step: steps.append(step) or x, steps=45)
    assert steps == list(range(45))


def test_reduced_precision_is_asked_for_and_never_validated_in():
    class Watching(Gaussian):
        def loss(self, x):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
            self.kinds.append((self.training, product.dtype))
            return super().loss(x)

    for asked in (False, True):
        model = Watching()
        model.kinds = []
        run(model, val=law(50), steps=20, mixed_precision=asked)
        low = torch.bfloat16 if asked else torch.float32
        assert set(model.kinds) == {(True, low), (False, torch.float32)}


def test_what_the_model_says_of_its_data_is_checked_before_training():
    class Stored(Gaussian):
        data = Levels((2,), 5)

        def loss(self, x):
            return super().loss(self.data.check(x).float())

    x, model = torch.randint(5, (5000, 2)), Stored()
    run(model, x, val=x, steps=2)
    x[4999] = 5
    for batches, name in (((x, None), "data"), ((x[:9], x), "val")):
        with pytest.raises(ValueError, match=rf"{name} must be integers 0 .. 4, got values . .. 5"):
            run(model, batches[0], val=batches[1], steps=2)


def test_patience_stops_and_counts_validations():
    done = run(Gaussian(), val=law(50), steps=900, patience=3, schedule=lambda step: 0.0)
    assert (done.steps, done.best_step) == (80, 20)


def test_the_average_of_the_weights_is_what_is_kept():
    model = Gaussian()
    path = []
    record = lambda x, step: path.append(model.mu.detach().clone()) or x  # noqa: E731
    run(model, steps=30, average=0.8, augment=record, schedule="constant")
    run(last := Gaussian(), steps=30, schedule="constant")
    mean = path[0]
    for step, mu in enumerate([*path[1:], last.mu.detach()]):
        decay = min(0.8, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * mu
    torch.testing.assert_close(model.mu.detach(), mean)
    assert (last.mu - model.mu).abs().max() > 0.01


def test_initialisation_from_data_happens_in_training_on_the_first_batch():
    model, x = Gaussian(data_dependent=True), law(40)
    run(model, x, val=x, steps=1, lr=1e-9, batch_size=16)
    torch.testing.assert_close(model.mu.detach(), model.seen[0].mean(0))
    assert model.ready
    assert model.modes[0]
    assert len(model.seen[0]) == 16


def test_warmup_and_cosine_give_the_learning_rates_of_the_formula():
    rates = []
    model = Gaussian()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    optimizer.register_step_pre_hook(lambda opt, *_: rates.append(opt.param_groups[0]["lr"]))
    run(model, steps=12, warmup=4, optimizer=optimizer, clip_norm=0.1)
    cosine = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert rates == pytest.approx([0.4, 0.8, 1.2, 1.6, *cosine])
    assert optimizer.param_groups[0]["lr"] == 2.0


def test_the_gradient_is_clipped_to_the_norm_asked_for():
    model = Gaussian()
    run(model, steps=1, lr=1.0, optimizer=torch.optim.SGD, schedule="constant", clip_norm=0.25)
    moved = torch.cat([p.detach() for p in model.parameters()])
    assert moved.norm().item() == pytest.approx(0.25, rel=1e-4)


class Exploding(Gaussian):
    """A healthy loss until a call number, then NaN or a gradient that is."""

    def __init__(self, at, how):
        super().__init__()
        self.at, self.how = at, how

    def loss(self, x):
        loss = super().loss(x)
        if len(self.modes) == self.at:
            return loss * math.nan if self.how == "loss" else loss + (0 * self.mu.sum()).sqrt()
        return loss


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_divergence_names_step_and_loss_and_the_last_good_weights_are_back(how):
    model, healthy = Exploding(47, how), Gaussian()
    with pytest.raises(TrainingDiverged, match=r"loss nan at step \d+.* step 40 again") as caught:
        run(model, steps=100, schedule="constant")
    assert caught.value.step == (47 if how == "loss" else 48)
    assert math.isnan(caught.value.loss)
    run(healthy, steps=40, schedule="constant")
    assert torch.equal(model.mu, healthy.mu)


def test_a_gradient_that_explodes_in_the_very_last_step_is_noticed():
    with pytest.raises(TrainingDiverged):
        run(Exploding(60, "gradient"), steps=60)


def test_the_history_holds_the_mean_losses_and_every_step_counts_once():
    done = run(Gaussian(), steps=250, optimizer=torch.optim.SGD, schedule=lambda step: 0.0)
    assert done.steps == done.train_steps[-1] == 250
    assert len(done.train_loss) == len(done.train_steps) == 125
    mean = sum(done.train_loss) / 125
    assert mean == pytest.approx(Gaussian().loss(law()).mean().item(), rel=0.02)
    assert done.best_val is None


def test_progress_is_plain_text_and_silence_is_silent(capsys):
    run(Gaussian())
    assert capsys.readouterr() == ("", "")
    run(Gaussian(), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "60/60" in err
    assert "loss" in err


def test_integers_and_labels_reach_the_model_as_stored():
    class Labelled(Gaussian):
        def loss(self, x, y):
            assert x.dtype == torch.uint8
            assert y.dtype == torch.int64
            return super().loss(x.float()) + y

    x = torch.randint(0, 17, (30, 2), dtype=torch.uint8)
    run(Labelled(), (x, torch.arange(30)), val=(x, torch.arange(30)), steps=3)


def test_the_steps_that_fit_into_a_time_are_timed_on_a_copy():
    class Slow(Gaussian):
        def loss(self, x):
            time.sleep(0.01)
            return super().loss(x)

    model, before = Slow(noise=0.1), torch.get_rng_state()
    steps = steps_in(0.1, model, law())
    assert 300 < steps <= 540  # six seconds at a hundredth each
    assert steps_in(0.05, model, (law(),)) == pytest.approx(steps / 2, rel=0.3)
    assert not model.mu.any()
    assert torch.equal(torch.get_rng_state(), before)
    assert steps_in(1e-9, model, law()) == 1
    for minutes in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match="minutes must be above 0"):
            steps_in(minutes, model, law())
