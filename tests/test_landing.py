"""The front page and the ledger: pictures complete and current, charts whole, pages light."""

import gzip
import html
import json
import pathlib
import re
import sys

import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "book/ext")]

import gallery  # noqa: E402
import gallery_cards  # noqa: E402
import ledger_chart  # noqa: E402
import ledger_page  # noqa: E402

from dgm import zoo  # noqa: E402

LANDING = ROOT / "_build/html/book/intro.html"
CHAPTERS = sorted(path.stem for path in ROOT.glob("notebooks/*.ipynb"))
BOOKS = ledger_page.books(ROOT)
MOST_BYTES = 400_000  # of the front page as it comes over the net, cards below the screen aside


def test_every_chapter_has_a_picture():
    missing = set(CHAPTERS) - set(gallery_cards.CARDS)
    assert not missing, f"add to tools/gallery_cards.py, run tools/gallery.py: {sorted(missing)}"


def test_pictures_are_those_of_todays_weights():
    stale = gallery.stale()
    assert not stale, f"run python tools/gallery.py; out of date: {stale}"


def test_a_picture_is_stale_when_its_weights_or_its_code_move(monkeypatch):
    monkeypatch.setattr(gallery, "checksum", lambda stem: "other" if stem == "vae-digits" else None)
    assert "strip-vae" in gallery.stale() or gallery.best("vae") != "digits"
    monkeypatch.undo()
    monkeypatch.setattr(gallery, "code", lambda function: "other")
    assert set(gallery.stale()) == set(gallery.wanted())


def test_no_picture_is_left_from_what_is_gone():
    record = gallery.read()
    assert set(record) == set(gallery.wanted())
    files = {about["file"] for about in record.values()} | {"strip.webp"}
    assert files == {path.name for path in gallery.FOLDER.glob("*.webp")}


def test_pictures_are_small_and_described():
    for name, about in gallery.read().items():
        file = gallery.FOLDER / about["file"]
        assert file.stat().st_size <= gallery.MOST_BYTES, name
        assert Image.open(file).size == (about["width"], about["height"])
        assert len(about["alt"]) > 15, name


def test_strip_draws_from_every_family_with_image_weights():
    with_weights = {
        entry.branch for entry in zoo.entries().values() if {"digits", "mnist"} & set(entry.recipes)
    }
    assert with_weights == {zoo.get(name).branch for name in gallery.STRIP}


def test_readme_lists_the_chapters_of_today():
    text = gallery.README.read_text(encoding="utf-8")
    assert gallery.write_readme(text) == text, "run python tools/gallery.py"


# --- the ledger -----------------------------------------------------------------------------------


def test_chart_holds_every_model_with_test_nats():
    drawn = ledger_chart.chart(BOOKS, ledger_page.anchor)
    rows = [
        (figure["model"], ledger_page.anchor(book["chapter"], figure))
        for book in BOOKS
        for figure in book["figures"]
        if re.search(r"_test_(iw_)?(nats|bits_per_dim)$", figure["name"]) and figure["model"]
    ]
    assert len(rows) > 50
    for model, _ in rows:
        assert f">{model.replace('_', ' ')}</a>" in drawn, model
    links = re.findall(r'href="#([^"]+)"', drawn)
    page = ledger_page.figures(ROOT)
    assert len(links) == len(set(links)) > 50
    assert all(f'id="{link}"' in page for link in links)


def test_table_holds_every_figure_and_its_error():
    page = ledger_page.figures(ROOT)
    assert page.count("<tr id=") == sum(len(book["figures"]) for book in BOOKS)
    assert 'class="dgm-figures dgm-sortable"' in page
    assert "s.e.</th>" in page
    beside = sum(
        figure.get("published") is not None or figure.get("rerun") is not None
        for book in BOOKS
        for figure in book["figures"]
    )
    assert page.count('class="dgm-beside"') == beside


def test_an_error_is_that_of_the_recorded_score():
    seeds = zoo.header("gated_pixelcnn", "digits")["seeds"]
    figure = dict(
        name="digits_test_nats", model="gated_pixelcnn", value=seeds[0][0], tolerance=0.05
    )
    assert ledger_chart.error_of(figure) == pytest.approx(seeds[0][1], abs=1e-3)
    assert ledger_chart.error_of(figure | dict(value=seeds[0][0] + 1)) is None  # another run's
    assert ledger_chart.error_of(figure | dict(error=0.2)) == 0.2  # recorded with the figure


def test_published_figures_of_other_data_are_not_drawn_on_the_axis():
    figure = dict(name="digits_test_nats", model="glow", value=92.0, unit="nats", kind="bound")
    figure |= dict(k=None, tolerance=0.1, published=80.0, rerun=126.1, source="paper")
    assert [field for _, field, _ in ledger_chart.theirs([figure])] == ["rerun"]
    mnist = figure | dict(name="mnist_test_nats", rerun=None)
    assert [field for _, field, _ in ledger_chart.theirs([mnist])] == ["published"]
    assert ledger_chart.theirs([mnist | dict(source="CIFAR-10")]) == []


# --- the built page -------------------------------------------------------------------------------


def weight(page, text):
    """Bytes over the net: text compressed, as GitHub Pages does; not the pictures that wait."""
    files = set()
    for tag in re.findall(r"<(?:link|script|img)\b[^>]*>", text):
        found = re.search(r'(?:href|src)="([^"#?]+)', tag)
        wanted = tag.startswith(("<script", "<img")) or re.search(
            r'rel="(stylesheet|preload)"', tag
        )
        if found and wanted and 'loading="lazy"' not in tag and "://" not in found[1]:
            files.add((page.parent / html.unescape(found[1])).resolve())
    packed = (".woff2", ".woff", ".webp", ".png")
    bodies = [(f.suffix in packed, f.read_bytes()) for f in files] + [(False, text.encode())]
    return sum(len(body if whole else gzip.compress(body)) for whole, body in bodies)


def test_front_page_is_light_and_has_no_mathjax():
    assert LANDING.is_file(), "run make book"
    text = LANDING.read_text(encoding="utf-8")
    assert "tex-chtml" not in text
    assert 'class="math' not in text
    assert weight(LANDING, text) < MOST_BYTES


def test_front_page_shows_strip_doors_families_and_every_chapter():
    text = LANDING.read_text(encoding="utf-8")
    for part in ("dgm-strip", "dgm-doors", "dgm-families", "dgm-cards"):
        assert part in text
    for stem in CHAPTERS:
        assert f"card-{stem}.webp" in text
        assert f"../notebooks/{stem}.html" in text
    assert json.loads(gallery.RECORD.read_text())
