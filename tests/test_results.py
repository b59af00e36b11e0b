"""The ledger: what is written, what is held against it, and what is refused."""

import json
import math
import multiprocessing
import os

import numpy as np
import pytest
import torch

from dgm import results
from dgm.evaluate import Estimate
from dgm.results import FigureMoved, Ledger

NATS = {"row": "N3", "name": "digits_test_nats", "value": 93.4123456, "unit": "nats"}
NATS |= {"kind": "bound", "model": "realnvp", "tolerance": 0.05}


def path(checkout, chapter="13_flows", scale="laptop"):
    return checkout / "results" / scale / f"{chapter}.json"


def read(checkout):
    return json.loads(path(checkout).read_text())["figures"]


def test_the_file_has_the_agreed_format(checkout):
    Ledger("13_flows").record(**NATS, published=126.1, source="Tomczak (2022), notebook 3")
    assert json.loads(path(checkout).read_text()) == {
        "chapter": "13_flows",
        "scale": "laptop",
        "hardware": results.hardware(),
        "figures": [
            {
                "row": "N3",
                "model": "realnvp",
                "name": "digits_test_nats",
                "value": 93.4123,
                "error": None,
                "unit": "nats",
                "kind": "bound",
                "k": None,
                "published": 126.1,
                "rerun": None,
                "source": "Tomczak (2022), notebook 3",
                "tolerance": 0.05,
            }
        ],
        "claims": [],
    }


def test_the_order_of_recording_does_not_matter_and_rows_sort_as_numbers(checkout):
    figures = [NATS | {"row": row, "model": m} for row in ("F15", "F2", "N3") for m in ("b", None)]
    texts = []
    for order in (figures, figures[::-1]):
        path(checkout).unlink(missing_ok=True)
        ledger = Ledger("13_flows")
        for figure in order:
            ledger.record(**figure)
        texts.append(path(checkout).read_text())
    assert texts[0] == texts[1]
    keys = [(f["row"], f["model"]) for f in read(checkout)]
    assert keys == [(row, m) for row in ("F2", "F15", "N3") for m in (None, "b")]


def test_a_value_within_tolerance_leaves_the_file_untouched(checkout):
    Ledger("13_flows").record(**NATS)
    before = path(checkout).read_bytes(), path(checkout).stat().st_mtime_ns
    given = 93.4123 + 0.049
    assert Ledger("13_flows").record(**NATS | {"value": given}) == given
    assert (path(checkout).read_bytes(), path(checkout).stat().st_mtime_ns) == before


def test_the_standard_error_of_an_estimate_is_written_beside_it_and_never_compared(checkout):
    Ledger("13_flows").record(**NATS)  # a plain number has none
    assert read(checkout)[0]["error"] is None
    Ledger("13_flows").record(**NATS | {"value": Estimate(93.42, 0.51234, 447)})
    assert (read(checkout)[0]["value"], read(checkout)[0]["error"]) == (93.4123, 0.512)
    before = path(checkout).read_bytes()
    Ledger("13_flows").record(**NATS | {"value": Estimate(93.42, 0.7, 447)})
    assert path(checkout).read_bytes() == before


@pytest.mark.parametrize("shift", [0.051, -0.051])
def test_a_figure_that_moved_is_named_with_the_way_to_accept_it(checkout, shift):
    Ledger("13_flows").record(**NATS)
    before = path(checkout).read_bytes()
    message = r"13_flows: N3 realnvp digits_test_nats was 93.4123, is now 93.*DGM_RESULTS=update"
    with pytest.raises(FigureMoved, match=message):
        Ledger("13_flows").record(**NATS | {"value": NATS["value"] + shift})
    assert path(checkout).read_bytes() == before


def test_a_truth_value_must_stay(checkout):
    truth = {"row": "F4", "name": "kl_is_ce_minus_h", "value": True, "kind": "identity"}
    Ledger("13_flows").record(**truth)
    Ledger("13_flows").record(**truth)
    assert read(checkout)[0]["value"] is True
    for other in ({"value": False}, {"value": 1, "unit": "1", "tolerance": 9.0}):
        with pytest.raises(FigureMoved):
            Ledger("13_flows").record(**truth | other)


def test_a_timing_is_written_once_and_not_compared(checkout):
    timing = {"row": "N3", "name": "train_seconds", "unit": "s", "kind": "estimate"}
    Ledger("13_flows").record(**timing, value=100.0)
    Ledger("13_flows").record(**timing, value=900.0)
    assert read(checkout)[0]["value"] == 100.0


def test_a_changed_description_is_written_but_the_value_stays(checkout):
    Ledger("13_flows").record(**NATS)
    Ledger("13_flows").record(**NATS | {"value": 93.42, "published": 126.1, "source": "them"})
    assert (read(checkout)[0]["value"], read(checkout)[0]["published"]) == (93.4123, 126.1)


def test_an_update_takes_the_new_values_one_by_one(checkout, monkeypatch):
    for name in ("other", "digits_test_nats"):
        Ledger("13_flows").record(**NATS | {"name": name})
    monkeypatch.setenv("DGM_RESULTS", "update")
    ledger = Ledger("13_flows")
    ledger.record(**NATS | {"value": 50.0})  # and the run is stopped here: nothing is lost
    assert [f["value"] for f in read(checkout)] == [50.0, 93.4123]


def test_a_run_with_a_folder_of_its_own_leaves_the_ledger_alone(checkout, monkeypatch, tmp_path):
    Ledger("13_flows").record(**NATS)
    before = path(checkout).read_bytes()
    monkeypatch.setenv("DGM_RESULTS_IN", str(tmp_path / "run"))
    Ledger("13_flows").record(**NATS)  # only an update goes there
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("DGM_RESULTS", "update")
    Ledger("13_flows").record(**NATS | {"name": "new"})
    assert path(checkout).read_bytes() == before
    made = json.loads((tmp_path / "run/laptop/13_flows.json").read_text())
    assert [f["name"] for f in made["figures"]] == ["new"]  # what is no longer recorded is gone


def write_forty(model):
    ledger = Ledger("13_flows")
    for k in range(40):
        ledger.timing("N3", model, f"f{k}", k)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="locks of Unix")
def test_two_runs_at_once_lose_nothing(checkout):
    fork = multiprocessing.get_context("fork")
    runs = [fork.Process(target=write_forty, args=(f"m{k}",)) for k in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(read(checkout)) == 120
    assert [p.name for p in path(checkout).parent.iterdir()] == ["13_flows.json"]


def test_a_write_that_fails_leaves_the_older_file(checkout, monkeypatch):
    ledger = Ledger("13_flows")
    ledger.record(**NATS)
    before = path(checkout).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"13_flows\.json could not be written: No space"):
        ledger.record(**NATS | {"name": "second"})
    assert path(checkout).read_bytes() == before
    assert [p.name for p in path(checkout).parent.iterdir()] == ["13_flows.json"]


def test_scales_have_files_of_their_own(checkout, monkeypatch):
    Ledger("13_flows").record(**NATS)
    monkeypatch.setenv("DGM_SCALE", "gpu")
    Ledger("13_flows").record(**NATS | {"value": 1.0})
    assert [f["value"] for f in results.load("laptop")] == [93.4123]
    assert [f["value"] for f in results.load("gpu")] == [1.0]
    with pytest.raises(ValueError, match="scale must be one of laptop, gpu"):
        results.load("huge")


def test_outside_a_checkout_a_figure_is_printed_and_nothing_is_written(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results.ledger, "__file__", str(tmp_path / "dgm" / "ledger.py"))
    assert results.root() is None
    assert Ledger("13_flows").record(**NATS) == NATS["value"]
    assert capsys.readouterr().out == "N3 realnvp digits_test_nats = 93.4123 nats\n"
    assert list(tmp_path.iterdir()) == []
    assert results.load() == []
    with pytest.raises(ValueError, match="row must be"):  # the checks hold there too
        Ledger("13_flows").record(**NATS | {"row": "x"})


def test_the_short_lines_record_what_the_long_one_does(checkout):
    ledger = Ledger("13_flows")
    source = "https://arxiv.org/abs/1807.03039"
    assert ledger.bound("N4", "glow", "iw_nats", 92.1, "nats", 0.3, k=64) is None
    ledger.exact("F7", None, "log10_count", 866967, "digits", 0)
    ledger.estimate("N4", "glow", "gain", 1.5, "nats", 0.5, published=3.35, source=source)
    ledger.estimate("N4", "glow", "loss", 1.5, "nats", 0.5, rerun=1.4, source="intro_dgm")
    ledger.identity("N4", "glow", "inverts", True)
    ledger.identity("N4", "glow", "misses", 1e-7, "1", 1e-6)
    ledger.timing("N4", "glow", "sample_ms", 3.1, "ms")
    found = {f["name"]: f for f in read(checkout)}
    kinds = ["exact", "bound", "estimate", "estimate", "identity", "identity", "estimate"]
    names = ["log10_count", "iw_nats", "gain", "loss", "inverts", "misses", "sample_ms"]
    assert [found[name]["kind"] for name in names] == kinds
    assert found["iw_nats"]["k"] == 64
    assert (found["gain"]["published"], found["gain"]["rerun"]) == (3.35, None)
    assert (found["loss"]["published"], found["loss"]["rerun"]) == (None, 1.4)
    assert (found["sample_ms"]["unit"], found["sample_ms"]["tolerance"]) == ("ms", None)


def test_an_older_file_is_read_and_missing_fields_are_null(checkout):
    Ledger("13_flows").record(**NATS)
    old = json.loads(path(checkout).read_text())
    for field in ("k", "rerun"):
        del old["figures"][0][field]
    del old["claims"]
    path(checkout).write_text(json.dumps(old))
    Ledger("13_flows").record(**NATS)
    assert results.load()[0]["rerun"] is None


def test_inside_a_checkout_recording_is_silent(checkout, capsys):
    Ledger("13_flows").record(**NATS)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (torch.tensor(1.23456789), 1.23457),
        (np.float32(2.5), 2.5),
        (np.bool_(True), True),
        (torch.tensor(False), False),
        (737280, 737280),
        (12345678.0, 12345700.0),
        (1.23456789e-9, 1.23457e-9),
        (Estimate(93.4, 0.5, 447), 93.4),
    ],
)
def test_numbers_of_every_kind_are_written_as_plain_json(checkout, value, written):
    extra = {"unit": None, "tolerance": None} if isinstance(written, bool) else {}
    assert Ledger("13_flows").record(**NATS | {"value": value} | extra) is value
    found = read(checkout)[0]["value"]
    assert found == written
    assert type(found) is type(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row": "n3"}, "row must be a checklist id .* got 'n3'"),
        ({"row": "N0"}, "row must be"),
        ({"row": "B2"}, "row must be"),
        ({"row": 3}, "row must be"),
        ({"kind": "guess"}, "kind must be one of exact, bound, estimate, identity, got 'guess'"),
        ({"unit": "nat"}, "unit must be one of nats, .* got 'nat'"),
        ({"unit": None}, "unit must be one of"),
        ({"value": True}, "unit and tolerance must be None for the truth value"),
        ({"value": math.nan}, "value must be a finite number or a truth value, got nan"),
        ({"value": torch.tensor(math.inf)}, "value must be a finite"),
        ({"value": "93.4"}, "value must be a finite"),
        ({"value": None}, "value must be a finite"),
        ({"tolerance": None}, "tolerance of 'digits_test_nats' is missing; only timings"),
        ({"tolerance": -1.0}, "tolerance must be at least 0"),
        ({"tolerance": math.nan}, "tolerance must be a finite"),
        ({"name": "Test nats"}, "name must be lower-case words"),
        ({"name": None}, "name must be"),
        ({"model": "RealNVP"}, "model must be lower-case"),
        ({"model": 3}, "model must be lower-case words joined by _, got 3"),
        ({"name": 3}, "name must be lower-case words joined by _, got 3"),
        ({"k": 0}, "k must be a number of draws, at least 1"),
        ({"k": True}, "k must be a number of draws"),
        ({"k": 64, "kind": "exact"}, "k of 'digits_test_nats' is for importance-weighted bounds"),
        ({"rerun": 3.0}, "source must say where the rerun value"),
        ({"source": 3}, "source must be words or an address, got 3"),
        ({"published": 3.0}, "source must say where the published value"),
        ({"published": math.inf, "source": "x"}, "published must be a finite"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(checkout, change, message):
    with pytest.raises(ValueError, match=message):
        Ledger("13_flows").record(**NATS | change)
    assert not path(checkout).exists()


def test_a_bad_chapter_name_a_bad_mode_and_a_damaged_file_are_named(checkout, monkeypatch):
    with pytest.raises(ValueError, match=r"chapter must be a notebook's stem, got '13\.ipynb'"):
        Ledger("13.ipynb")
    Ledger("13_flows").record(**NATS)
    whole = path(checkout).read_text()
    poisoned = [whole.replace("93.4123", word) for word in ("NaN", "Infinity", '"9"', "null")]
    for damaged in ("", "[]", '{"figures": [{"row": "N3"}]}', *poisoned):
        path(checkout).write_text(damaged)
        with pytest.raises(ValueError, match=r"13_flows\.json is not a ledger"):
            Ledger("13_flows").record(**NATS)
        assert path(checkout).read_text() == damaged
    monkeypatch.setenv("DGM_RESULTS", "yes")
    with pytest.raises(ValueError, match="DGM_RESULTS is 'yes'"):
        Ledger("13_flows")


def test_the_checkout_of_the_package_is_found_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "dgm").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "away").mkdir()
    monkeypatch.setattr(results.ledger, "__file__", str(tmp_path / "dgm" / "ledger.py"))
    monkeypatch.chdir("/")
    assert results.root() == tmp_path
