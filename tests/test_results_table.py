"""Tables made from the ledger."""

import pytest

from dgm import results
from dgm.results import Ledger

NATS = {"row": "N3", "name": "digits_test_nats", "value": 93.4123456, "unit": "nats"}
NATS |= {"kind": "bound", "model": "realnvp", "tolerance": 0.05}


def test_a_table_shows_units_dashes_and_truth_and_escapes_html(checkout):
    ledger = Ledger("13_flows")
    ledger.record(**NATS, published=126.1, source="a | b <i>")
    ledger.record(row="N1", name="inverts", value=True, kind="identity")
    ledger.record(
        row="F7", name="log10_count", value=866967, unit="digits", kind="exact", tolerance=0
    )
    table = results.table(columns=("row", "name", "value", "published", "source"))
    assert str(table) == (
        "| row | name | value | published | source |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| F7 | log10_count | 866,967 digits | – | – |\n"
        "| N1 | inverts | holds | – | – |\n"
        "| N3 | digits_test_nats | 93.4123 nats | 126.1 nats | a \\| b \\<i> |"
    )
    html = table._repr_html_()
    assert "a | b &lt;i&gt;" in html
    assert html.count("<tr>") == 4


def test_a_figure_and_its_error_stay_on_one_line_of_the_page():
    shown = results.Table([{"nats": "82.27 ± 0.50"}], ("nats",))
    assert "82.27&nbsp;±&nbsp;0.50" in shown._repr_html_()
    assert "82.27 ± 0.50" in str(shown)


def test_a_table_filters_by_row_chapter_name_and_model(checkout):
    for chapter in ("13_flows", "14_other"):
        for row, model in (("N3", "realnvp"), ("N4", "glow")):
            Ledger(chapter).record(**NATS | {"row": row, "model": model})
    count = lambda **wish: len(results.table(**wish).cells)  # noqa: E731
    assert count() == 4
    assert count(rows=("N3", "F1")) == 2
    assert (count(rows="N3"), count(rows="N3 N4"), count(rows="N")) == (2, 4, 0)
    Ledger("13_flows").record(**NATS | {"row": "N15"})
    assert [row[0] for row in results.table(rows="N15").cells] == ["N15"]
    assert count(chapter="14_other") == 2
    assert count(model="glow", chapter="13_flows") == 1
    assert count(name="train_seconds") == 0
    with pytest.raises(ValueError, match=r"columns must be among row, .* got"):
        results.table(columns=("row", "colour"))
