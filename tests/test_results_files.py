"""The committed ledgers: every file is one, and no tolerance is as wide as what it guards."""

import json
import pathlib

import pytest

from dgm.results import file

ROOT = pathlib.Path(__file__).resolve().parents[1]
LEDGERS = sorted(ROOT.glob("results/*/*.json"))
# (model, name) of figures near zero because that is the claim; say what they are small against.
EXCEPTIONS = {}


def too_wide(figure):
    """Whether a figure may move by more than a third of itself unnoticed."""
    value, tolerance = figure["value"], figure["tolerance"]
    free = isinstance(value, bool) or tolerance is None or figure["kind"] == "identity"
    return not free and value != 0 and tolerance > abs(value) / 3 * 1.001  # rounded


def test_there_are_ledgers():
    assert LEDGERS


@pytest.mark.parametrize("path", LEDGERS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_ledger_is_one_and_is_written_in_its_one_way(path, tmp_path):
    ledger = file.read_ledger(path)
    assert (ledger["chapter"], ledger["scale"]) == (path.stem, path.parent.name)
    ids = [claim["id"] for claim in ledger["claims"]]
    assert len(ids) == len(set(ids))
    keys = [file.order(figure) for figure in ledger["figures"]]
    assert len(keys) == len(set(keys))
    if "claims" in json.loads(path.read_text()):  # written since the format has them
        file.write_ledger(tmp_path / path.name, ledger)
        assert (tmp_path / path.name).read_text() == path.read_text()


@pytest.mark.parametrize("path", LEDGERS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_tolerance_is_at_most_a_third_of_its_value(path):
    wide = {(f["model"], f["name"]) for f in file.read_ledger(path)["figures"] if too_wide(f)}
    wide -= EXCEPTIONS.get(path.stem, set())
    assert wide == set()
