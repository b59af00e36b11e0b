"""train.fit refuses bad input by name, before it changes anything."""

import math

import pytest
import torch
from torch import nn

from dgm.train import fit


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.mu = nn.Parameter(torch.zeros(2))

    def loss(self, x):
        return ((x - self.mu) ** 2).sum(1)


def run(model, data=None, **options):
    settings = {"steps": 5, "progress": False} | options
    return fit(model, torch.ones(70, 2) if data is None else data, **settings)


NAN = torch.full((5, 2), math.nan)
BAD = {
    "data is empty": {"data": torch.zeros(0, 2)},
    "data holds NaN": {"data": NAN},
    "val holds NaN": {"val": NAN},
    "data holds tensors of different lengths": {"data": (torch.zeros(5, 2), torch.zeros(4))},
    "data must be a data set": {"data": [1.0, 2.0]},
    "data must be": {"data": "digits"},
    "batch_size must be": {"batch_size": 0},
    "steps must be": {"steps": 2.5},
    "eval_every must be": {"eval_every": 0},
    "patience must be": {"patience": 0, "val": torch.ones(9, 2)},
    "patience counts validations": {"patience": 2},
    "lr must be positive": {"lr": -1.0},
    "clip_norm must be": {"clip_norm": math.nan},
    "average must be": {"average": 1.0},
    "weight_decay must be": {"weight_decay": -0.1},
    "warmup must be": {"warmup": -1},
    "seed must be": {"seed": -1},
    "schedule must be 'cosine'": {"schedule": "linear"},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named_and_changes_nothing(message):
    model = Mean()
    with pytest.raises(ValueError, match=message):
        run(model, **BAD[message])
    assert not model.mu.any()
    assert model.training


def test_a_model_that_cannot_train_is_named():
    with pytest.raises(ValueError, match="Linear has no method loss"):
        run(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="has no parameter to train"):
        run(Mean().requires_grad_(False))

    class Reduced(Mean):
        def loss(self, x):
            return super().loss(x).mean()

    with pytest.raises(ValueError, match=r"one value per example \(64,\), got \(\)"):
        run(Reduced())
