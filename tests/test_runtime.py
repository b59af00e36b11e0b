"""Scale, device and seeds."""

import random

import numpy as np
import pytest
import torch

from dgm import runtime
from dgm.train.processes import join


def test_the_variable_decides_the_scale_and_cuda_where_it_is_silent(monkeypatch):
    monkeypatch.delenv("DGM_SCALE", raising=False)
    for there, scale in ((True, "gpu"), (False, "laptop")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert runtime.scale() == scale
        for asked in runtime.SCALES:
            monkeypatch.setenv("DGM_SCALE", asked)
            assert runtime.scale() == asked
        monkeypatch.delenv("DGM_SCALE")


def test_an_unknown_scale_is_named(monkeypatch):
    monkeypatch.setenv("DGM_SCALE", "huge")
    with pytest.raises(ValueError, match="DGM_SCALE is 'huge'; allowed: laptop, gpu"):
        runtime.scale()


def test_each_local_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert runtime.device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert runtime.device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert runtime.device() == torch.device("cuda", 3)


def test_a_seed_repeats_all_three_generators():
    def draws(n):
        runtime.seed(n)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draws(4) == draws(4)
    assert all(a != b for a, b in zip(draws(4), draws(5), strict=True))


@pytest.mark.parametrize("n", [-1, 2**32, 1.5, True, "0"])
def test_a_bad_seed_is_named(n):
    with pytest.raises(ValueError, match="n must be a whole number"):
        runtime.seed(n)


def test_seeds_for_different_purposes_differ_and_are_the_same_on_every_machine():
    seeds = {runtime.derived_seed(word, n) for word in ("order", "noise") for n in range(100)}
    assert len(seeds) == 200
    assert runtime.derived_seed("order", 0, 3) == 7688147228469840853


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join() == (0, 1)
    assert not torch.distributed.is_initialized()
