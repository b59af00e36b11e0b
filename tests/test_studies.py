"""What studies share: a run that is on file is not trained again, and a stop loses none."""

import importlib
import json
import pkgutil

import pytest

from dgm.distribution.support import Levels
from dgm.hierarchical.top_down import _largest_singular_values
from dgm.zoo import studies
from dgm.zoo.hierarchical import nvae
from dgm.zoo.studies import spectral_penalty
from dgm.zoo.studies.runs import read_runs, train_missing

OTHERS = {"runs", "judges"}  # what they share
OTHERS |= {
    "draws_by_judge",
    "diffusion_draws",
    "long_chains",
    "three_minutes",
    "more_draws",
}  # measures
OTHERS |= {"mnist_layers"}  # of what is stored
OTHERS |= {"bytes_on_disk"}
OTHERS |= {"clothes_scores"}  # of single pictures, see test_outlier.py
OTHERS |= {"attacked_digits", "library_attacks", "plain_cnn"}  # one training, many attacks
OTHERS |= {"finishing"}  # of twenty seeds, see test_deep_energy.py
NAMES = [m.name for m in pkgutil.iter_modules(studies.__path__) if m.name not in OTHERS]


def cells(*widths):
    return [dict(width=width, seed=seed) for width in widths for seed in (0, 1)]


def test_only_what_is_missing_is_trained_in_the_order_asked_for(tmp_path):
    file, trained = tmp_path / "study.json", []

    def train(width, seed):
        trained.append((width, seed))
        return {"test": 10 * width + seed, "kl": [0.5]}

    train_missing(file, cells(3), train, steps=7)
    train_missing(file, cells(2, 3), train, steps=7)
    assert trained == [(3, 0), (3, 1), (2, 0), (2, 1)]
    said = json.loads(file.read_text())
    assert said["steps"] == 7
    assert said["runs"] == read_runs(file)
    assert said["runs"][2] == {"width": 2, "seed": 0, "test": 20, "kl": [0.5]}


def test_a_stop_keeps_what_was_trained(tmp_path):
    file = tmp_path / "study.json"

    def train(width, seed):
        if seed == 1:
            raise KeyboardInterrupt
        return {"test": 1.0}

    with pytest.raises(KeyboardInterrupt):
        train_missing(file, cells(2), train)
    assert read_runs(file) == [{"width": 2, "seed": 0, "test": 1.0}]


def test_a_study_without_a_file_has_no_runs(tmp_path):
    assert read_runs(tmp_path / "none.json") == []


@pytest.mark.parametrize("name", NAMES)
def test_every_study_is_complete_on_file(name, monkeypatch):
    study = importlib.import_module(f"dgm.zoo.studies.{name}")
    assert {run["seed"] for run in study.load()} == set(study.SEEDS) == {0, 1, 2}
    asked = []
    monkeypatch.setattr(study, "train_missing", lambda file, cells, *_, **__: asked.append(cells))
    study.main()
    for cell in asked[0]:
        assert sum(cell.items() <= run.items() for run in study.load()) == 1, cell


def test_largest_values_are_what_the_penalty_charges_for():
    model = nvae(Levels((1, 4, 4), 3), sides=(1, 4), channels=(2, 2), width=4)
    found = spectral_penalty.largest_values(model)
    charged = _largest_singular_values(model)
    assert len(found) == len(charged)
    assert abs(found.sum() - charged.sum()) < 1e-3
