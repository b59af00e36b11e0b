"""Checkpoints: a killed run ends with the same numbers; a damaged or foreign file is refused.

Run as a script this file is the run that is killed, again and again.
"""

import dataclasses
import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dgm.train import checkpoint, fit
from dgm.train.checkpoint import BadCheckpoint


class Noisy(nn.Module):
    """A little of everything a checkpoint must hold: noise, dropout, running statistics."""

    def __init__(self, width=8):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 3)
        )

    def loss(self, x):
        return ((self.net(x + torch.randn_like(x)) - x) ** 2).sum(1)


def train(path=None, model=None, x=None, **options):
    torch.manual_seed(0)
    x = torch.randn(150, 3) if x is None else x
    model = model or Noisy()
    settings = {"steps": 203, "batch_size": 16, "eval_every": 4, "average": 0.9, "seed": 2}
    settings |= {"checkpoint": path, "progress": False} | options
    done = fit(model, x, val=x[:40], **settings)
    return model, dataclasses.replace(done, seconds=0.0)


def killed_until_done(path, kills):
    """Run ``train`` in children, killing each at a random moment; the last one reports."""
    for attempt in range(kills + 1):
        child = os.fork()
        if child == 0:
            model, done = train(path)
            torch.save((model.state_dict(), dataclasses.asdict(done)), f"{path}.end")
            os._exit(0)
        if attempt < kills:
            seen, writes = None, random.randint(0, 6)
            while writes >= 0:  # kill after so many writes, at any point up to the next one
                time.sleep(random.random() * 0.002)
                now = path.stat().st_ino if path.exists() else None
                writes, seen = writes - (now != seen), now
            time.sleep(random.random() * 0.01)
            os.kill(child, signal.SIGKILL)
        assert (os.waitpid(child, 0)[1] == signal.SIGKILL) == (attempt < kills)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_a_run_killed_at_random_moments_ends_with_the_same_weights_and_history(tmp_path):
    path = tmp_path / "run.ckpt"
    subprocess.run([sys.executable, __file__, str(path)], check=True, timeout=300)
    weights, done = torch.load(f"{path}.end")
    model, undisturbed = train()
    assert done == dataclasses.asdict(undisturbed)
    assert weights.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor), name


def counted(model, stop=10**9):
    """Count the steps of ``model`` in ``model.steps``; fail, as a power cut would, after some."""
    model.steps, loss = 0, model.loss

    def counting(x):
        model.steps += model.training
        if model.steps > stop:
            raise KeyboardInterrupt
        return loss(x)

    model.loss = counting
    return model


def interrupted(path, step=50, model=None, **options):
    torch.manual_seed(0)
    torch.randn(150, 3)  # as `train` draws before it makes its model
    with pytest.raises(KeyboardInterrupt):
        train(path, model=counted(model or Noisy(), step), **options)


OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "Adagrad": torch.optim.Adagrad,
    "NAdam": torch.optim.NAdam,
    "RMSprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_goes_on_where_it_was(name, tmp_path):
    options = {"optimizer": OPTIMIZERS[name], "steps": 60}
    interrupted(tmp_path / "run.ckpt", **options)
    model, done = train(tmp_path / "run.ckpt", **options)
    whole, undisturbed = train(**options)
    assert done == undisturbed
    assert all(map(torch.equal, model.parameters(), whole.parameters()))


def test_resuming_takes_no_step_again(tmp_path):
    path = tmp_path / "run.ckpt"
    interrupted(path, step=50)
    model, _ = train(path, model=counted(Noisy()))
    assert model.steps == 203 - 48
    finished = train(path, model=counted(Noisy(), stop=0))[1]
    assert finished.steps == 203


def test_a_run_stopped_by_patience_stays_stopped(tmp_path):
    options = {"patience": 2, "schedule": lambda step: 0.0, "average": 0.0}
    first = train(tmp_path / "run.ckpt", **options)[1]
    again = train(tmp_path / "run.ckpt", model=counted(Noisy(), stop=0), **options)[1]
    assert first == again
    assert first.steps < 203


def test_tied_weights_and_weights_without_gradient_survive(tmp_path):
    def tied():
        torch.manual_seed(1)
        model = Noisy(width=3)
        model.net[3].weight = model.net[0].weight
        model.spare = nn.Parameter(torch.ones(2))
        return model

    interrupted(tmp_path / "run.ckpt", model=tied())
    model, done = train(tmp_path / "run.ckpt", model=tied())
    whole, undisturbed = train(model=tied())
    assert model.net[3].weight is model.net[0].weight
    assert done == undisturbed
    assert all(map(torch.equal, model.parameters(), whole.parameters()))


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "run.ckpt"
    interrupted(path)
    return path


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut short":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = bytearray()
    elif how == "one bit flipped":
        content[-100] ^= 1
    elif how == "header flipped":
        content[content.index(b"best_step") + 13] ^= 1
    elif how == "text":
        content = bytearray(b"not a checkpoint at all, only some words")
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut short", "empty", "one bit flipped", "header flipped", "text"])
def test_a_damaged_checkpoint_is_refused_and_left_alone(written, how):
    damage(written, how)
    before, model = written.read_bytes(), Noisy()
    weights = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(BadCheckpoint, match=r"run\.ckpt (cannot be read|is damaged)"):
        train(written, model=model)
    assert written.read_bytes() == before
    assert all(map(torch.equal, weights, model.parameters()))


def test_a_foreign_safetensors_file_and_a_folder_are_refused(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a checkpoint of train\.fit"):
        train(tmp_path / "weights.safetensors")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        train(tmp_path)


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"lr": 0.1}, "another run .lr: 0.001 there, 0.1 here"),
        ({"seed": 3}, "another run .seed: 2 there, 3 here"),
        ({"steps": 300}, "another run .steps: 203 there, 300 here"),
        ({"x": torch.ones(150, 3)}, "another run .data"),
        ({"x": "permuted"}, "another run .data"),
        ({"x": "mirrored"}, "another run .data"),
        ({"optimizer": lambda p, lr: torch.optim.AdamW(p, lr=lr, eps=1e-3)}, "run .optimizer"),
        ({"schedule": lambda step: 0.5}, "another run .schedule"),
        ({"augment": lambda x, step: 2 * x}, "another run .augment"),
        ({"mixed_precision": True}, "another run .mixed_precision: False there, True here"),
        ({"model": Noisy(width=9)}, r"another model .net\.0\.bias.*\[?'?torch.float32'?, 8\]"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference(written, difference, message):
    before = written.read_bytes()
    torch.manual_seed(0)
    x = torch.randn(150, 3)  # what `train` draws
    others = {"permuted": x[torch.arange(149, -1, -1)], "mirrored": x.flip(1)}
    if isinstance(difference.get("x"), str):
        difference = {"x": others[difference["x"]]}
    with pytest.raises(BadCheckpoint, match=message):
        train(written, **difference)
    assert written.read_bytes() == before


@pytest.mark.parametrize(("one", "other"), [(0.9, 0.5), (torch.ones(2), torch.zeros(2))])
def test_functions_with_other_code_or_other_values_are_told_apart(one, other):
    def with_value(value):
        return lambda step: value

    same = [checkpoint.described(with_value(v)) for v in (one, one, other)]
    assert same[0] == same[1] != same[2]
    halves = [lambda x, step: x / 2, lambda x, step: x / 2, lambda x, step: x / 3]
    text = [checkpoint.described(f) for f in halves]
    assert text[0] == text[1] != text[2]
    made = [functools.partial(torch.optim.SGD, momentum=m) for m in (0.1, 0.1, 0.2)]
    text = [checkpoint.described(f) for f in made]
    assert text[0] == text[1] != text[2]


def test_two_runs_at_once_with_one_checkpoint_both_end(tmp_path):
    path, ends = tmp_path / "run.ckpt", []

    def go():
        ends.append(fit(Noisy(), torch.ones(40, 3), steps=80, eval_every=1, checkpoint=path,
                        progress=False).steps)  # fmt: skip

    runs = [threading.Thread(target=go) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert ends == [80] * 4
    checkpoint.load(path)  # whole
    assert [file.name for file in tmp_path.iterdir()] == ["run.ckpt"]


def test_a_write_that_fails_leaves_the_older_file_and_nothing_half_written(written, monkeypatch):
    before = written.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    model = Noisy()
    with pytest.warns(RuntimeWarning, match=r"run\.ckpt cannot be written.*No space left"):
        done = train(written, model=model)[1]
    monkeypatch.undo()
    assert done.steps == 203  # nothing is lost but the file
    whole = train()[0]
    assert all(map(torch.equal, model.parameters(), whole.parameters()))
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == ["run.ckpt"]


def test_saved_tensors_come_back_equal_whatever_their_type(tmp_path):
    tensors = {
        "flag": torch.tensor(True),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(3).bfloat16(),
        "turned": torch.arange(6).reshape(2, 3).T,
    }
    checkpoint.save(tmp_path / "a", tensors, {"best": float("inf"), "x": 0.1})
    back, about = checkpoint.load(tmp_path / "a")
    assert about == {"best": float("inf"), "x": 0.1}
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert all(back[name].dtype == tensors[name].dtype for name in tensors)


if __name__ == "__main__":
    torch.optim.SGD([nn.Parameter(torch.ones(1))])  # imports what each child would import again
    killed_until_done(Path(sys.argv[1]), kills=8)
