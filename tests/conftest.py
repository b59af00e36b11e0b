"""Options of the test run: ``--slow`` also runs what takes minutes."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # busy machines: see README, "Threads"
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests that take minutes")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: make test-slow"))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout around the working folder."""
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("DGM_SCALE", "laptop")
    monkeypatch.delenv("DGM_RESULTS", raising=False)
    return tmp_path


@pytest.fixture
def float64():
    """Seed 0, and double precision wherever a test does not ask for another."""
    import torch  # not above: it reads the number of threads when it is imported

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
