"""The zoo: entries that hold together; weights that are fresh and whole, and named when not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import dgm
from dgm import data, zoo
from dgm.evaluate import nats
from dgm.zoo import fingerprint, train, weights

ROOT = Path(dgm.__file__).parents[1]
TRAINED = [(e.name, d) for e in zoo.entries().values() for d in e.recipes]
SEEDED = [pair for pair in TRAINED if zoo.get(pair[0]).recipes[pair[1]].seeds > 1]


@pytest.mark.parametrize("entry", zoo.entries().values(), ids=lambda e: e.name)
def test_entry_points_at_what_exists(entry):
    assert (ROOT / "notebooks" / f"{entry.chapter}.ipynb").is_file()
    assert all((ROOT / "dgm" / file).is_file() for file in entry.files)
    assert any(file.startswith(f"{entry.family}/") for file in entry.files)
    assert entry.url.startswith("http")
    assert entry.rows


@pytest.mark.parametrize(("name", "data_name"), TRAINED)
def test_weights_are_fresh_and_small(name, data_name):
    file = weights.weights_path(name, data_name)
    assert file.stat().st_size < 520_000
    header = zoo.header(name, data_name)
    assert header["recipe"] == zoo.get(name).fingerprint(data_name), "make train"
    assert {"seed", "train_seconds", "best_val", "hardware"} <= set(header)
    assert header["train_seconds"] < 180


@pytest.mark.parametrize(("name", "data_name"), TRAINED)
def test_loaded_model_scores_what_its_recipe_saw(name, data_name):
    best = zoo.header(name, data_name)["best_val"]
    model, dataset = zoo.load(name, data_name), data.load(data_name)
    assert not model.training
    again = nats(model, dataset.val, repeats=4)
    # the noise of a bound, or of another draw of a toy
    near = 0.3 if dataset.levels else 4 * again.standard_error
    assert again.mean == pytest.approx(best, abs=near)


@pytest.mark.parametrize(("name", "data_name"), SEEDED)
def test_weights_carry_the_test_figures_of_all_seeds(name, data_name):
    found = zoo.header(name, data_name)["seeds"]
    assert list(found) == list(range(zoo.get(name).recipes[data_name].seeds))
    again = nats(zoo.load(name, data_name), data.load(data_name).test, repeats=2)
    assert again.mean == pytest.approx(found[0][0], abs=0.3)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_recipe_runs_under_all_its_seeds_and_the_first_is_stored(tmp_path, monkeypatch, seeds):
    entry = zoo.get("fvsbn")
    short = {**entry.recipes["digits"].settings, "steps": 2}
    recipe = replace(entry.recipes["digits"], settings=short, seeds=seeds)
    changed = replace(entry, recipes={"digits": recipe})
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    train.train_all(changed, "digits")
    found = zoo.header("fvsbn", "digits")
    assert found["seed"] == "0"
    assert list(found["seeds"]) == (list(range(3)) if seeds == 3 else [])
    assert len({score[0] for score in found["seeds"].values()}) == len(found["seeds"])
    model = changed.build((1, 8, 8), 17, **recipe.sizes)
    weights.load_weights(model, weights.weights_path("fvsbn", "digits"), found["recipe"])
    if seeds == 3:
        again = train.scores(model, "digits")
        assert again == pytest.approx(found["seeds"][0], abs=0.05)


def test_every_weight_file_has_a_recipe():
    known = {weights.weights_path(*pair) for pair in TRAINED}
    assert set(weights.FOLDER.glob("*.safetensors")) == known


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(ValueError, match="realnvp"):
        zoo.load("realnpv", "digits")
    with pytest.raises(ValueError, match="no recipe for 'mnist'"):
        zoo.load("glow", "mnist")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """One weight file in a folder of its own."""
    file = weights.weights_path("nice", "digits")
    shutil.copy(file, tmp_path)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path / file.name


def test_a_flipped_bit_is_found(copied):
    content = bytearray(copied.read_bytes())
    content[-1000] ^= 1
    copied.write_bytes(content)
    with pytest.raises(ValueError, match="corrupted"):
        zoo.load("nice", "digits")


def test_a_truncated_file_is_found(copied):
    copied.write_bytes(copied.read_bytes()[:-500])
    with pytest.raises(ValueError, match=rf"{copied.name} are corrupted"):
        zoo.load("nice", "digits")


def test_text_in_place_of_weights_is_found(copied):
    copied.write_text("not weights at all")
    with pytest.raises(ValueError, match="corrupted"):
        zoo.load("nice", "digits")


def test_missing_weights_say_how_to_make_them(copied):
    copied.unlink()
    with pytest.raises(ValueError, match="make train"):
        zoo.load("nice", "digits")


def test_weights_older_than_their_recipe_are_refused(monkeypatch):
    entry = zoo.get("nice")
    recipe = replace(entry.recipes["digits"], sizes={"width": 129})
    changed = replace(entry, recipes={"digits": recipe})
    assert changed.fingerprint("digits") != entry.fingerprint("digits")
    monkeypatch.setattr(zoo, "get", lambda name: changed)
    with pytest.raises(ValueError, match="stale"):
        zoo.load("nice", "digits")


def test_weights_of_another_model_are_refused():
    file = weights.weights_path("nice", "digits")
    with pytest.raises(ValueError, match="do not fit"):
        weights.load_weights(nn.Linear(2, 2), file, zoo.get("nice").fingerprint("digits"))


def test_a_failed_write_leaves_the_old_weights(tmp_path, monkeypatch):
    file = tmp_path / "a.safetensors"
    weights.save_weights(nn.Linear(2, 2), file, recipe="x")
    before = file.read_bytes()

    def broken(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(weights, "save_file", broken)
    with pytest.raises(OSError, match="no space"):
        weights.save_weights(nn.Linear(2, 2), file, recipe="y")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_saved_weights_are_the_rounded_ones(tmp_path):
    model, copy = nn.Linear(3, 2), nn.Linear(3, 2)
    weights.save_weights(model, tmp_path / "a.safetensors", recipe="x")
    weights.load_weights(copy, tmp_path / "a.safetensors", "x")
    assert torch.equal(copy.weight, model.weight.half().float())


def test_fingerprint_ignores_comments_and_sees_code():
    def one():
        """Says something."""
        return 1  # a comment

    def other():
        return 1

    def changed():
        return 2

    code = [fingerprint.code_of(f).replace(f.__name__, "f") for f in (one, other, changed)]
    assert code[0] == code[1] != code[2]


@pytest.mark.slow
def test_a_recipe_run_again_gives_the_same_figure():
    entry = zoo.get("nice")
    model, _ = train.train(entry, "digits")
    committed = zoo.header("nice", "digits")["best_val"]
    again = nats(model.eval(), data.load("digits").val, repeats=4).mean
    assert again == pytest.approx(committed, abs=1.0)


@pytest.mark.slow
def test_another_seed_gives_its_figure_again():
    model, _ = train.train(zoo.get("iaf_vae"), "digits", seed=1)
    stored = zoo.header("iaf_vae", "digits")["seeds"][1]
    assert train.scores(model, "digits") == pytest.approx(stored, abs=0.5)
