"""The same call under torchrun: two processes take the steps one takes with twice the batch.

Run as a script this file is what each of the two processes does.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm.train import fit
from dgm.train.processes import join


class Scaled(nn.Module):
    """A regression on itself whose first layer is initialised from the first batch."""

    def __init__(self, noise=0.0, stop=10**9):
        super().__init__()
        self.noise, self.first = noise, nn.Parameter(torch.zeros(3))
        self.calls, self.stop = 0, stop  # training batches seen, and when the power fails
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
        self.register_buffer("ready", torch.tensor(False))

    def loss(self, x):
        self.calls += self.training
        if self.calls > self.stop:
            raise KeyboardInterrupt
        if not self.ready:
            self.first.data.copy_(x.std(0))
            self.ready.fill_(True)
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        return ((self.net(x) - x / self.first) ** 2).sum(1)


def train(batch_size, noise=0.0, stop=10**9, **options):
    torch.manual_seed(0)
    x, model = torch.randn(90, 3) * torch.tensor([1.0, 2.0, 3.0]), Scaled(noise, stop)
    settings = {"steps": 41, "eval_every": 10, "lr": 0.01, "progress": False, "average": 0.8}
    settings |= {"batch_size": batch_size, "clip_norm": 1.0} | options
    return model, fit(model, x[:70], val=x[70:], **settings)


def of_one_process(folder):
    """Train plainly; with noise; with noise, interrupted and resumed; write all of it down."""
    rank, processes = join()
    found = {"processes": processes, "runs": {}, "noise": []}
    runs = {"plain": train(8, progress=True, checkpoint=folder / "plain.ckpt")}
    runs["noisy"] = train(8, noise=0.5)
    train(8, augment=lambda x, step: found["noise"].append(torch.rand(()).item()) or x)
    options = {"noise": 0.5, "checkpoint": folder / "resumed.ckpt"}
    with pytest.raises(KeyboardInterrupt):
        train(8, stop=26, **options)  # one call more than steps: the initialisation
    runs["resumed"] = train(8, **options)
    for name, (model, done) in runs.items():
        state = {key: tensor.tolist() for key, tensor in model.state_dict().items()}
        found["runs"][name] = {"state": state, "val": done.val_loss, "train": done.train_loss}
    (folder / f"{rank}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    place = ["--nnodes=1", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *place]
    done = subprocess.run(
        [*command, __file__, str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return ranks, done, folder


def test_two_processes_equal_one_with_twice_the_batch(two):
    model, done = train(16)
    ranks = two[0]
    assert ranks[0]["processes"] == 2
    for run in (rank["runs"]["plain"] for rank in ranks):
        for name, tensor in model.state_dict().items():
            there = torch.tensor(run["state"][name])
            torch.testing.assert_close(there, tensor, atol=1e-5, rtol=1e-4)
        assert run["val"] == pytest.approx(done.val_loss, rel=1e-5)
        assert run["train"] == pytest.approx(done.train_loss, rel=1e-4)


def test_another_batch_size_would_have_been_noticed(two):
    weight = torch.tensor(two[0][0]["runs"]["plain"]["state"]["net.0.weight"])
    assert (train(8)[0].net[0].weight - weight).abs().max() > 1e-3


def test_both_processes_hold_the_same_weights_also_with_noise_of_their_own(two):
    first, second = (rank["runs"] for rank in two[0])
    assert first == second


def test_each_process_draws_its_own_noise(two):
    first, second = (rank["noise"][1:] for rank in two[0])  # without the shared initialisation
    assert len({*first, *second}) == 2 * 41


def test_a_run_of_two_resumes_to_the_same_numbers(two):
    runs = two[0][0]["runs"]
    assert runs["resumed"] == runs["noisy"]


def test_one_process_prints_and_writes(two):
    _, done, folder = two
    assert done.stderr.count("  0%|") == 1  # one progress bar began
    assert "41/41" in done.stderr
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["0.json", "1.json", "plain.ckpt", "resumed.ckpt"]


if __name__ == "__main__":
    of_one_process(Path(sys.argv[1]))
