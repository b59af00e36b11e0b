"""The zoo: entries that hold together; weights that are whole, fresh, and named when not."""

import lzma
import math
import os
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

import dgm
from dgm import data, runtime, zoo
from dgm.data.dataset import Dataset
from dgm.distribution.support import Levels, Reals
from dgm.evaluate import Estimate, nats
from dgm.zoo import fingerprint, large, train, weights

ROOT = Path(dgm.__file__).parents[1]
NAMES = list(zoo.modules())
RECIPES = [(e.name, d) for e in zoo.entries().values() for d in e.recipes]
ON_GPU = [pair for pair in RECIPES if zoo.get(pair[0]).recipes[pair[1]].scale == "gpu"]
TRAINED = [p for p in RECIPES if p not in ON_GPU or weights.weights_path(*p).is_file()]
SEEDED = [pair for pair in TRAINED if zoo.get(pair[0]).recipes[pair[1]].seeds > 1]
REAL = [(name, d) for name, d in TRAINED if zoo.get(name).data_of(d).endswith("mnist")]
KINDS = {  # of the data sets that are downloaded
    "mnist": Levels((1, 28, 28), 256),
    "binary_mnist": Levels((1, 28, 28), 2),
    "fashion_mnist": Levels((1, 28, 28), 256),
    "cifar10": Levels((3, 32, 32), 256),
    "svhn": Levels((3, 32, 32), 256),
    "omniglot": Levels((1, 28, 28), 2),
    "dsprites": Levels((1, 64, 64), 2),
    "tiny_shakespeare": Levels((64,), 65),
}


@pytest.mark.parametrize("name", NAMES)
def test_entry_points_at_what_exists(name):
    entry = zoo.get(name)
    assert entry.name == name
    assert (ROOT / "notebooks" / f"{entry.chapter}.ipynb").is_file()
    assert all((ROOT / "dgm" / file).is_file() for file in entry.files)
    assert entry.files
    paper, url = entry.source
    assert paper
    assert url.startswith("http")
    assert entry.title
    assert "\n" not in entry.title
    assert entry.build.__doc__.startswith(f"{entry.title}: ")
    assert entry.rows.split()
    assert isinstance(entry.tiny.data, Levels | Reals)


def test_titles_and_names_are_unique():
    assert len({zoo.get(name).title for name in NAMES}) == len(NAMES) == len(set(NAMES))


def test_the_catalogue_holds_what_the_modules_list():
    listed = [e.name for room in dict.fromkeys(zoo.modules().values())
              for e in sys.modules[f"dgm.zoo.{room}"].ENTRIES if zoo.get(e.name)]  # fmt: skip
    assert listed == NAMES


@pytest.mark.parametrize(("name", "data_name"), TRAINED)
def test_weights_are_fresh_and_small(name, data_name):
    file = weights.weights_path(name, data_name)
    real = (name, data_name) in REAL
    assert file.stat().st_size < (weights.MOST_BYTES if real else 520_000)
    header = zoo.header(name, data_name)
    assert header["recipe"] == fingerprint.recipe_hash(zoo.get(name), data_name), "make train"
    assert {"seed", "train_seconds", "best_val", "hardware", "code"} <= set(header)
    assert 0 < header["train_seconds"] < (7200 if real else 180)


@pytest.mark.parametrize(("name", "data_name"), TRAINED)
def test_loaded_model_scores_what_its_recipe_saw(name, data_name):
    if (name, data_name) in REAL and "DGM_DATA" not in os.environ:
        pytest.skip("validation pictures of MNIST are not here: set DGM_DATA")
    again, best, allowed = train.agreement(name, data_name)
    assert again.mean == pytest.approx(best, abs=allowed)
    assert not zoo.load(name, data_name).training


@pytest.mark.parametrize(("name", "data_name"), SEEDED)
def test_weights_carry_the_test_figures_of_all_seeds(name, data_name):
    found = zoo.header(name, data_name)["seeds"]
    assert list(found) == list(range(zoo.get(name).recipes[data_name].seeds))
    model = zoo.load(name, data_name)
    if not train._has_likelihood(model):  # it only draws
        assert train.scores(model, zoo.get(name).data_of(data_name))[0] == pytest.approx(
            found[0][0], rel=0.1
        )
        return
    repeats = 1 if hasattr(model, "log_prob") else 4  # as often as the recipe did: equal noise
    again = nats(model, data.load(data_name).test, repeats=repeats)
    assert again.mean == pytest.approx(found[0][0], abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data_name"), REAL)
def test_weights_of_real_pictures_score_as_stored_on_all_test_pictures(name, data_name):
    set_name = f"{zoo.get(name).data_of(data_name)}_test"  # comes with the package
    scored = zoo.get(name).recipes[data_name].fit.get("scored")
    again = train.scores(zoo.load(name, data_name), set_name, scored)
    assert again[0] == pytest.approx(zoo.header(name, data_name)["seeds"][0][0], abs=0.5)


# --- what chapters say of large pictures ----------------------------------------------------------


def test_bits_bytes_and_budgets_are_those_of_the_weights():
    model, stored = zoo.load("vae", "mnist"), zoo.header("vae", "mnist")
    score = Estimate(784 * math.log(2), 7.84 * math.log(2), 1000)
    line = large.line("ours", score, model, "vae")
    assert str(line["bits/dim"]) == "1.000 ± 0.010"
    assert line["bytes"] == "98"
    assert line["all 10,000"].mean == pytest.approx(stored["seeds"][0][0] / 784 / math.log(2))
    minutes = stored["train_seconds"] / 60
    assert line["made with"] == f"399 thousand numbers, {minutes:.0f} minutes of one core"
    assert large.line("other", score)["made with"] == ""
    assert large.published("theirs", 0.5)["bytes"] == "49"


def test_histograms_of_large_pictures_add_up_over_their_pixels():
    x = data.load("mnist_test").test[:3]
    first = zoo.load("flowpp", "mnist").flow.layers[0]
    by_level = first.log_mass.log_softmax(1)
    by_hand = [-sum(by_level[d, v] for d, v in enumerate(row)).item() for row in x.flatten(1).int()]
    found = large.histogram_nats(x)
    assert found.mean == pytest.approx(sum(by_hand) / 3, rel=1e-4)
    assert found.n == 3


# --- running recipes ------------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch, tmp_path):
    """An entry whose recipe for the digits takes two steps; weights go to a folder of their own."""
    entry = zoo.get("fvsbn")
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    monkeypatch.setenv("DGM_CACHE", str(tmp_path / "cache"))

    def made(**changes):
        recipe = entry.recipes["digits"]
        fit = {**recipe.fit, "steps": 2, "eval_every": 1}
        short = replace(recipe, **{"fit": fit} | changes)
        changed = replace(entry, recipes={"digits": short})
        monkeypatch.setattr(zoo, "get", lambda name: changed)
        return changed

    return made


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_recipe_runs_under_all_its_seeds_and_the_first_is_stored(short, seeds):
    changed = short(seeds=seeds)
    train.train_all(changed, "digits")
    found = zoo.header("fvsbn", "digits")
    assert found["seed"] == "0"
    assert list(found["seeds"]) == list(range(seeds))
    assert len({score[0] for score in found["seeds"].values()}) == len(found["seeds"])
    assert found["code"] == fingerprint.code_hash(changed, "digits")
    model = zoo.load("fvsbn", "digits")
    assert train.scores(model, "digits") == pytest.approx(found["seeds"][0], abs=0.05)


def test_equal_weights_keep_the_scores_of_their_seeds(short, monkeypatch):
    train.train_all(short(seeds=2), "digits")
    first = zoo.header("fvsbn", "digits")
    monkeypatch.setattr(train, "scores", lambda *_: pytest.fail("was scored again"))
    train.train_all(short(seeds=2), "digits")  # one run, bit for bit what is stored
    again = zoo.header("fvsbn", "digits")
    assert again["seeds"] == first["seeds"]
    monkeypatch.setattr(train, "scores", lambda *_: [1.0, 0.1])
    train.train_all(short(seeds=2, sizes={}, fit={"steps": 3, "eval_every": 1}), "digits")
    assert zoo.header("fvsbn", "digits")["seeds"] == {0: [1.0, 0.1], 1: [1.0, 0.1]}


def test_a_recipe_for_a_gpu_goes_on_where_it_was_cut_short(short, monkeypatch):
    changed = short(scale="gpu", seeds=2)
    taken = []
    fit = changed.recipes["digits"].train

    def cut_short(model, dataset, seed, **settings):
        taken.append((seed, settings["checkpoint"].exists()))
        fitted = fit(model, dataset, seed, **settings)
        if len(taken) == 2:
            raise KeyboardInterrupt
        return fitted

    monkeypatch.setattr(fingerprint, "recipe_hash", lambda *_: "0" * 16)
    monkeypatch.setattr(fingerprint, "code_hash", lambda *_: "0" * 16)
    cut = replace(changed.recipes["digits"], train=cut_short)
    cut = replace(changed, recipes={"digits": cut})
    with pytest.raises(KeyboardInterrupt):
        train.train_all(cut, "digits")
    train.train_all(cut, "digits")
    assert taken == [(0, False), (1, False), (0, True), (1, True)]
    assert not list((Path(train.cache_folder()) / "train").iterdir())
    assert weights.weights_path("fvsbn", "digits").is_file()


def test_large_weights_go_to_the_cache_and_are_found_there(short, monkeypatch):
    changed = short()
    monkeypatch.setattr(weights, "MOST_BYTES", 50_001)
    train.train_all(changed, "digits")
    assert not weights.FOLDER.exists()
    assert train.cache_folder() in weights.weights_path("fvsbn", "digits").parents
    assert not zoo.load("fvsbn", "digits").training


def test_one_seed_is_tried_without_touching_the_weights(short):
    short()
    train.main(["fvsbn", "--seed", "3"])
    assert not weights.FOLDER.exists()


def test_new_code_is_noted_with_weights_that_score_the_same(short, monkeypatch):
    entry = short()
    train.train_all(entry, "digits")
    file = weights.weights_path("fvsbn", "digits")
    before, header = weights.read_weights(file)
    monkeypatch.setattr(fingerprint, "code_hash", lambda *_: "0123456789abcdef")
    assert "the new code is noted" in train.note_code(entry, "digits")
    after, noted = weights.read_weights(file)
    assert noted.pop("checksum") != header.pop("checksum")
    assert noted == header | {"code": "0123456789abcdef"}
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert "made by this code" in train.note_code(entry, "digits")


def test_new_code_under_which_the_weights_score_otherwise_is_not_noted(short, monkeypatch):
    entry = short()
    train.train_all(entry, "digits")
    file = weights.weights_path("fvsbn", "digits")
    tensors, header = weights.read_weights(file)
    worse = {key: torch.zeros_like(value) for key, value in tensors.items()}
    weights.write_weights(worse, file, **header | {"code": "other"})
    with pytest.raises(ValueError, match=r"fvsbn-digits.*retrain"):
        train.note_code(entry, "digits")
    assert weights.read_weights(file)[1]["code"] == "other"


def test_recipes_of_a_chapter_run_in_order_of_worth(monkeypatch):
    entry = zoo.get("flowpp")
    some = zip(entry.recipes.items(), (1, 5, 2), strict=False)
    recipes = {n: replace(recipe, scale="laptop", worth=worth) for (n, recipe), worth in some}
    changed = replace(entry, recipes=recipes)
    monkeypatch.setattr(zoo, "get", lambda name: changed)
    worths = [e.recipes[name].worth for e, name in train.jobs("flowpp", "laptop")]
    assert worths == [5, 2, 1]
    with pytest.raises(ValueError, match="no recipe of scale gpu for 'flowpp'"):
        train.jobs("flowpp", "gpu")


def test_a_chapter_is_its_number_and_all_is_all():
    assert {e.room for e, _ in train.jobs("13", "laptop")} == {"flow"}
    assert {(e.name, d) for e, d in train.jobs("all", "gpu")} == set(ON_GPU)
    with pytest.raises(SystemExit, match="no recipe of scale laptop for '99'"):
        train.main(["99"])


def test_time_that_is_up_ends_the_process(monkeypatch, capsys):
    done = threading.Event()
    ends = []
    monkeypatch.setattr(train.os, "_exit", lambda code: (ends.append(code), done.set()))
    train.stop_after(0.01 / 60)
    assert done.wait(10)
    assert ends == [0]
    assert "the same command goes on" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "data_name"), ON_GPU)
def test_a_recipe_for_a_gpu_runs_on_this_machine(name, data_name, monkeypatch, tmp_path):
    """A few steps, on noise of the shape of its data."""
    entry = zoo.get(name)
    recipe = entry.recipes[data_name]
    kind = KINDS[entry.data_of(data_name)]
    if "binary" in recipe.data or "levels" in recipe.data:
        kind = Levels(kind.shape, recipe.data.get("levels", 2))
    torch.manual_seed(0)
    x = kind.stored(torch.randint(kind.levels, (6, *kind.shape)))
    y = torch.randint(10, (6,))
    parts = dict(train=x, val=x[:2], test=x[:2], train_y=y, val_y=y[:2], test_y=y[:2])
    fake = Dataset(name="fake", shape=kind.shape, levels=kind.levels, source="noise", **parts)
    monkeypatch.setattr(data, "load", lambda *_, **__: fake)
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    fit = {**recipe.fit, "steps": 2, "batch_size": 2, "eval_every": 1, "warmup": 0}
    fit |= {"warm": 2} if "warm" in fit else {}
    few = replace(entry, recipes={data_name: replace(recipe, fit=fit)})
    _, header = train.train(few, data_name, checkpoint=tmp_path / "half.safetensors")
    assert float(header["best_val"]) > 0
    assert (tmp_path / "half.safetensors").is_file()


# --- weights on disk ------------------------------------------------------------------------------


def test_every_weight_file_has_a_recipe():
    known = {f"{name}-{data_name}{weights.SUFFIX}" for name, data_name in TRAINED}
    assert {file.name for file in weights.FOLDER.iterdir()} == known


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(ValueError, match="realnvp"):
        zoo.load("realnpv", "digits")
    with pytest.raises(ValueError, match="no recipe for 'bars'"):
        zoo.load("glow", "bars")


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


def forged(tensors, header):
    """What lies on disk where someone wrote other words beside the old checksum."""
    return lzma.compress(safetensors.torch.save(tensors, metadata=header))


@pytest.mark.parametrize("key", ["best_val", "train_seconds", "seed", "recipe", "code", "seeds"])
def test_a_changed_word_of_the_header_is_found(copied, key):
    tensors, header = weights.read_weights(copied)
    header[key] = "0.0"
    copied.write_bytes(forged(tensors, header))
    with pytest.raises(ValueError, match=rf"{copied.name} are corrupted"):
        zoo.header("nice", "digits")


def test_an_added_word_of_the_header_is_found(copied):
    tensors, header = weights.read_weights(copied)
    copied.write_bytes(forged(tensors, header | {"another": "word"}))
    with pytest.raises(ValueError, match=rf"{copied.name} are corrupted"):
        zoo.header("nice", "digits")


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
    monkeypatch.setattr(zoo, "get", lambda name: changed)
    with pytest.raises(ValueError, match=r"nice-digits.*stale.*dgm\.zoo\.train nice"):
        zoo.load("nice", "digits")


def test_weights_of_another_model_are_refused():
    file = weights.weights_path("nice", "digits")
    header = weights.read_weights(file)[1]
    with pytest.raises(ValueError, match=r"nice-digits.*do not fit"):
        weights.load_weights(nn.Linear(2, 2), file, header["recipe"])


def test_a_failed_write_leaves_the_old_weights(tmp_path, monkeypatch):
    file = tmp_path / "a.safetensors.xz"
    weights.save_weights(nn.Linear(2, 2), file, recipe="x")
    before = file.read_bytes()

    def broken(file, content):
        file.open("wb").write(content[:9])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match=r"a\.safetensors\.xz cannot be written: no space"):
        weights.save_weights(nn.Linear(2, 2), file, recipe="y")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_saved_weights_are_the_rounded_ones(tmp_path):
    model, copy = nn.Linear(64, 32), nn.Linear(64, 32)
    weights.save_weights(model, tmp_path / "a.safetensors.xz", recipe="x")
    weights.load_weights(copy, tmp_path / "a.safetensors.xz", "x")
    assert torch.equal(copy.bias, model.bias.half().float())
    step = model.weight.detach().abs().amax(1, keepdim=True) / 127
    assert not torch.equal(copy.weight, model.weight)
    assert ((copy.weight - model.weight).abs() <= 0.5001 * step).all()


def test_rounding_the_rounded_changes_nothing():
    model = nn.Linear(64, 32)
    once = weights.rounded(model)
    model.load_state_dict(weights.unpacked(once))
    twice = weights.rounded(model)
    assert torch.equal(once["weight"], twice["weight"])
    torch.testing.assert_close(weights.unpacked(twice), weights.unpacked(once), rtol=1e-6, atol=0)


def test_rounding_keeps_zeros_masks_and_integers_as_they_are():
    model = nn.Linear(64, 32)
    nn.init.zeros_(model.weight)
    model.register_buffer("mask", (torch.rand(64, 64) > 0.5).float())
    model.register_buffer("order", torch.randperm(3000))
    state = weights.unpacked(weights.rounded(model))
    assert not state["weight"].any()
    for name in ("mask", "order"):
        assert torch.equal(state[name].to(model.get_buffer(name).dtype), model.get_buffer(name))


@pytest.mark.slow
def test_a_recipe_run_again_gives_the_same_figure():
    entry = zoo.get("nice")
    model, _ = train.train(entry, "digits")
    committed = zoo.header("nice", "digits")["best_val"]
    again = nats(model.eval(), data.load("digits").val, repeats=4).mean
    assert again == pytest.approx(committed, abs=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data_name"), [p for p in TRAINED if p not in ON_GPU])
def test_where_the_code_differs_the_recipe_gives_the_same_figure(name, data_name):
    entry, header = zoo.get(name), zoo.header(name, data_name)
    if header["code"] == fingerprint.code_hash(entry, data_name):
        pytest.skip("made by this code")
    model, _ = train.train(entry, data_name)
    again = nats(model.eval(), data.load(data_name).val, repeats=4).mean
    assert again == pytest.approx(header["best_val"], abs=1.0)


@pytest.mark.slow
def test_another_seed_gives_its_figure_again():
    model, _ = train.train(zoo.get("iaf_vae"), "digits", seed=1)
    stored = zoo.header("iaf_vae", "digits")["seeds"][1]
    assert train.scores(model, "digits") == pytest.approx(stored, abs=0.5)
