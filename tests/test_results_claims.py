"""Claims: what holds, what fails and is named, what cannot be claimed, and what the page shows."""

import json
import math

import pytest
import torch

from dgm.evaluate import Estimate
from dgm.results import ClaimFailed, Claims, Ledger


@pytest.fixture
def claims(checkout):
    return Claims(Ledger("13_flows"))


@pytest.mark.parametrize(
    ("measured", "relation", "required", "holds"),
    [
        (1, "<", 2, True),
        (2, "<", 2, False),
        (2, "<=", 2, True),
        (3, ">", 2, True),
        (2, ">", 2, False),
        (2, ">=", 2, True),
        (220_000, "==", 220_000, True),
        (220_001, "==", 220_000, False),
        (True, "is", True, True),
        (False, "is", True, False),
        (True, "==", False, False),
        (torch.tensor(1.5), "<", 2, True),
        (torch.tensor([[1.0, 1.9], [1.5, 2.1]]), "<", 2, False),
        (torch.tensor([True, True]), "is", True, True),
        ([1, 5, 2], ">", 0, True),
        ([1, -5, 2], ">", 0, False),
        ([torch.tensor(1.0), Estimate(1.5, 0.1, 9)], "<", 2, True),
        ({"a": 1.0, "b": 2.0}.values(), ">", torch.tensor(0.5), True),
        ((x for x in (1, 2)), "<", 2, False),
        (math.nan, "<", 2, False),
        (math.nan, ">", 2, False),
        (math.nan, "==", 2, False),
        ([1.0, math.nan], "<", 2, False),
        (torch.tensor([0.0, math.nan]), ">=", 0, False),
        (math.inf, ">", 2, True),
    ],
)
def test_a_claim_holds_when_every_value_fulfils_the_relation(
    claims, measured, relation, required, holds
):
    claims.add("one", "One thing.", measured, relation, required)
    assert claims["one"].holds is holds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measured": None}, "measured of 'one' must be a number, truth value, tensor or"),
        ({"measured": "3"}, "measured of 'one' must be a number"),
        ({"measured": ["3"]}, "measured of 'one' must be a number"),
        ({"measured": {"a": 1}}, "measured of 'one' must be a number"),
        ({"measured": object()}, "measured of 'one' must be numbers"),
        ({"measured": []}, "measured of 'one' is empty: a claim about nothing always holds"),
        ({"measured": torch.zeros(0)}, "measured of 'one' is empty"),
        ({"measured": True}, "cannot hold truth values and numbers against each other"),
        ({"measured": [True, 1], "relation": "=="}, "cannot hold truth values and numbers"),
        ({"measured": True, "required": False}, "cannot hold truth values"),
        ({"relation": "is"}, "'is' compares truth values"),
        ({"relation": "!="}, "relation must be one of < <= > >= == is, got '!='"),
        ({"required": math.nan}, "required of 'one' must be one number"),
        ({"required": None}, "required of 'one' must be a number"),
        ({"required": [1, 2]}, "required of 'one' must be one number"),
        ({"id": "One"}, "id must be lower-case words joined by hyphens, got 'One'"),
        ({"id": 'x"><script>'}, "id must be lower-case"),
        ({"sentence": " "}, "sentence of 'one' must say what is claimed"),
    ],
)
def test_what_cannot_fail_or_cannot_be_compared_is_refused(claims, change, message):
    claim = {"id": "one", "sentence": "S", "measured": 1, "relation": "<", "required": 2} | change
    with pytest.raises(ValueError, match=message):
        claims.add(**claim)
    assert len(claims) == 0


def test_an_id_is_used_once_and_an_empty_table_is_refused(claims):
    with pytest.raises(ValueError, match="none was added"):
        claims.show()
    claims.add("one", "The first.", 1, "<", 2)
    with pytest.raises(ValueError, match="id 'one' is taken: The first"):
        claims.add("one", "The second.", 1, "<", 2)
    with pytest.raises(ValueError, match="ledger must be the chapter"):
        Claims("13_flows")


def test_the_table_is_shown_first_and_then_every_failing_row_is_named(claims, capsys, checkout):
    claims.add("good", "Good.", 1, "<", 2)
    claims.add("bad", "It is small.", [1, 9, 3.00004], "<", 3)
    claims.add("nan", "It is a number.", math.nan, ">", 0)
    message = r"2 of 3 claims fail\n  bad: It is small\. 9, not < 3\n  nan: It is a number\. nan"
    with pytest.raises(ClaimFailed, match=message):
        claims.show()
    out = capsys.readouterr().out
    assert "| Good. | 1 | < 2 | holds |" in out
    assert "| It is small. | 1 to 9 | < 3 | FAILS |" in out
    assert not list((checkout / "results").rglob("*.json"))  # a chapter that fails claims nothing


def test_what_is_claimed_stands_in_the_ledger_without_what_varies(claims, checkout):
    claims.add("small", "It is small.", 0.123, "<", 1)
    claims.add("true", "It is true.", True, "is", True)
    claims.show()
    file = checkout / "results/laptop/13_flows.json"
    assert json.loads(file.read_text())["claims"] == [
        {"id": "small", "sentence": "It is small.", "relation": "<", "required": 1},
        {"id": "true", "sentence": "It is true.", "relation": "is", "required": True},
    ]
    stamp = file.stat().st_mtime_ns
    again = Claims(Ledger("13_flows"))
    again.add("small", "It is small.", 0.2, "<", 1)
    again.add("true", "It is true.", True, "is", True)
    again.show()
    assert file.stat().st_mtime_ns == stamp


def test_a_link_of_the_text_finds_its_row_and_words_are_escaped(claims):
    claims.add("areas-agree", "a < b & <i>c</i> | d", [2e-7, 3.21e-5], "<", 1e-4)
    html = claims._repr_html_()
    assert '<tr id="claim-areas-agree">' in html
    assert "a &lt; b &amp; &lt;i&gt;c&lt;/i&gt; | d" in html
    assert "2.0e\u22127 to 3.2e\u22125" in html
    assert ">&lt; 1.0e\u22124<" in html
    assert r"| a < b & \<i>c\</i> \| d |" in str(claims)


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (0, "0"),
        (220_000, "220,000"),
        (123456.7, "123,457"),
        (-3.14159, "\u22123.142"),
        (0.00012345, "1.2e\u22124"),
        (0.012345, "0.01235"),
        ([2, 2, 2], "2"),
        ([True, True], "true"),
        ([True, False, True], "true in 2 of 3"),
        ([1.0, math.nan], "nan among 2 values"),
        (-math.inf, "\u2212inf"),
    ],
)
def test_measured_values_are_shown_compactly(claims, measured, shown):
    relation, bar = ("is", True) if "true" in shown else ("<", 9e9)
    claims.add("one", "One.", measured, relation, bar)
    assert claims["one"].cells[1] == shown
