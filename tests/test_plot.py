"""Figures, sliders and source listings: what a reader sees, and moves."""

import base64
import functools
import http.server
import io
import math
import re
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from dgm import plot
from dgm.evaluate import Estimate
from dgm.flow.coupling import AffineCoupling
from dgm.plot import figure, page
from dgm.plot.bars import score_bars
from dgm.plot.classes import class_map
from dgm.plot.matrix import matrix
from dgm.plot.pixel_cost import UNDRAWN, cost_maps, drawing_frames
from dgm.plot.plane import LABEL_COLORS
from dgm.plot.sheet import sheet
from dgm.plot.sight import VIEW_COLORS, sight_map, stack_maps, unseen_map
from dgm.plot.strips import strips

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DIGITS = torch.arange(3 * 64).reshape(3, 1, 8, 8) % 17


@pytest.fixture(autouse=True)
def drawing():
    """The book's style, and no figure left behind."""
    with plt.rc_context():
        plot.style()
        yield
    plt.close("all")


def shown(fig):
    """The images of a figure in drawing order."""
    return [np.asarray(image.get_array()) for image in fig.axes[0].get_images()]


def decoded(address):
    data = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# Colours and style


def luminance(color):
    rgb = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722], linear


def test_text_colours_have_contrast_on_the_white_card():
    for color in (figure.INK, figure.MUTED, *plot.COLORS[:5]):
        assert 1.05 / (luminance(color)[0] + 0.05) >= 4.5, color


@pytest.mark.parametrize("cone", [0, 1])
def test_first_four_colours_stay_apart_without_red_or_green_cones(cone):
    lms = np.array([[0.314, 0.640, 0.046], [0.155, 0.758, 0.087], [0.018, 0.109, 0.873]])
    seen = []
    for color in plot.COLORS[:4]:
        cones = lms @ luminance(color)[1]
        other = np.delete(cones, cone)
        seen.append(np.log(other))
    gaps = [np.abs(a - b).max() for i, a in enumerate(seen) for b in seen[:i]]
    assert min(gaps) > 0.4


# Images


def test_images_map_levels_to_black_and_white_in_order():
    tiles = shown(plot.images(DIGITS, levels=17))
    assert len(tiles) == 3
    np.testing.assert_allclose(tiles[1], DIGITS[1, 0] / 16)


def test_images_of_bytes_and_of_floats_need_no_levels():
    x = torch.tensor([0, 255]).reshape(1, 1, 1, 2)
    np.testing.assert_allclose(shown(plot.images(x.byte()))[0], [[0, 1]])
    np.testing.assert_allclose(shown(plot.images(x / 255))[0], [[0, 1]])


def test_colour_images_keep_their_channels_last():
    x = torch.rand(2, 3, 4, 5)
    np.testing.assert_allclose(shown(plot.images(x))[1], x[1].movedim(0, -1), atol=1e-6)


def test_images_fill_rows_left_to_right():
    fig = plot.images(DIGITS, levels=17, ncols=2)
    left = [image.get_extent()[0] for image in fig.axes[0].get_images()]
    top = [image.get_extent()[3] for image in fig.axes[0].get_images()]
    assert left[0] == left[2] < left[1]
    assert top[0] == top[1] < top[2]


@pytest.mark.parametrize(
    ("x", "more", "word"),
    [
        (torch.zeros(8, 8), {}, "shape"),
        (torch.zeros(2, 2, 8, 8), {}, "shape"),
        (torch.zeros(0, 1, 8, 8), {}, "shape"),
        (torch.full((1, 1, 2, 2), torch.nan), {}, "NaN"),
        (torch.zeros(2, 1, 8, 8), {"titles": ["one"]}, "titles"),
        (torch.zeros(2, 1, 8, 8), {"ncols": 0}, "ncols"),
        (torch.zeros(2, 1, 8, 8), {"levels": 1}, "levels"),
    ],
)
def test_bad_images_are_named(x, more, word):
    with pytest.raises(ValueError, match=word):
        plot.images(x, **more)


# Curves and planes


def test_curve_shows_every_baseline_and_the_best_validation():
    steps = list(range(1, 101))
    fit = SimpleNamespace(
        train_steps=steps, train_loss=[1e6 / s**2 for s in steps], best_step=80,
        val_steps=[20, 40, 60, 80, 100], val_loss=[500.0, 300, 200, 150, 160],
    )  # fmt: skip
    ax = plot.curve(fit, {"entropy": 90.0, "peer": 126.1}).axes[0]
    low, high = ax.get_ylim()
    assert low < 90
    assert high < 2e4, "the first steps must not squash the end"
    assert {t.get_text() for t in ax.texts} == {"training", "validation", "entropy", "peer"}
    dot = next(line for line in ax.get_lines() if line.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (80, 150)


def test_curve_without_validation():
    fit = SimpleNamespace(train_steps=[1, 2], train_loss=[2.0, 1.0], val_steps=[], val_loss=[])
    assert [t.get_text() for t in plot.curve(fit).axes[0].texts] == ["training"]


def test_labels_never_overlap_and_keep_their_order():
    places = figure._spread([0.0, 1.0, 2.0, 40.0, 41.0], gap=10.0)
    assert np.diff(places).min() >= 10 - 1e-9
    assert np.mean(places[:3]) == pytest.approx(1.0)
    assert np.mean(places[3:]) == pytest.approx(40.5)


def test_density_puts_mass_where_it_is():
    """A narrow bump at (1, -2) must be bright there: x to the right, y upwards."""
    fig = plot.density(lambda x: -50 * ((x - torch.tensor([1.0, -2.0])) ** 2).sum(1), 3.0, n=61)
    row, column = np.unravel_index(shown(fig)[0].argmax(), (61, 61))
    assert np.linspace(-3, 3, 61)[[column, row]] == pytest.approx([1, -2])
    assert fig.axes[0].get_images()[0].origin == "lower"


@pytest.mark.parametrize(
    ("log_prob", "bounds", "word"),
    [
        (lambda x: x, 3.0, "log_prob"),
        (lambda x: x[:, 0] * torch.nan, 3.0, "NaN"),
        (lambda x: x[:, 0], (1, 0, 0, 1), "bounds"),
        (lambda x: x[:, 0], -2.0, "bounds"),
    ],
)
def test_bad_densities_are_named(log_prob, bounds, word):
    with pytest.raises(ValueError, match=word):
        plot.density(log_prob, bounds, n=8)


def test_warp_draws_the_image_of_the_grid():
    fig = plot.warp(lambda x: (2 * x, "log_det"), bounds=1.0, lines=3)
    lines = [np.stack(line.get_data(), 1) for line in fig.axes[0].get_lines()]
    assert len(lines) == 6
    assert np.abs(np.concatenate(lines)).max() == pytest.approx(2.0)


def test_scatter_wants_points_of_the_plane():
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        plot.scatter(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="y"):
        plot.scatter(torch.zeros(5, 2), y=torch.zeros(4))


def test_notebook_figures_are_crisp_and_small():
    x = np.linspace(0, 6, 300)
    fig, ax = plt.subplots()
    for k in range(5):
        ax.plot(x, np.sin(x + k))
    data, metadata = figure._display(fig)
    image = Image.open(io.BytesIO(data))
    assert image.width == pytest.approx(2 * metadata["width"], abs=1)
    assert len(data) < 60_000
    exact = np.asarray(figure.pixels(fig, tight=True), float)
    assert np.abs(np.asarray(image.convert("RGB"), float) - exact).mean() < 1


# Sources


def test_source_is_the_code_that_runs_with_links_to_its_file():
    text = plot.source(AffineCoupling).data
    assert text.count("```python\nclass AffineCoupling(nn.Module):") == 1
    assert "https://github.com/-OWNER/REPO/blob/main/dgm/flow/coupling.py" in text
    assert text.rstrip().endswith("```")


def test_source_announces_what_it_shows():
    told = []
    sys.addaudithook(lambda event, args: told.append(args) if event == "dgm.plot.source" else None)
    plot.source(AffineCoupling.forward, plot.images)
    assert told == [
        ("dgm/flow/coupling.py", "AffineCoupling.forward"),
        ("dgm/plot/draw.py", "images"),
    ]


def test_source_links_to_the_file_beside_a_notebook_of_the_checkout(monkeypatch):
    monkeypatch.chdir(page.ROOT / "notebooks")
    assert "[`dgm/flow/coupling.py`](../dgm/flow/coupling.py)" in plot.source(AffineCoupling).data
    assert (Path.cwd() / "../dgm/flow/coupling.py").exists()


def test_source_away_from_the_checkout_has_no_dead_link(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "](../" not in plot.source(AffineCoupling).data


def test_source_dedents_methods_and_groups_one_file():
    text = plot.source(AffineCoupling.forward, AffineCoupling.inverse, plot.images).data
    assert "```python\ndef forward(" in text
    assert "\ndef inverse(" in text
    assert text.count("```python") == 2
    assert text.count("dgm/flow/coupling.py") == text.count("dgm/plot/draw.py") > 0


def test_source_survives_fences_inside_docstrings(tmp_path, monkeypatch):
    (tmp_path / "fenced.py").write_text(
        'def f():\n    """Use\n    ```python\n    f()\n    ```\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    import fenced

    assert plot.source(fenced.f).data.startswith("````python\n")


@pytest.mark.parametrize("thing", [len, 3, torch.nn.Linear(1, 1), "text"])
def test_source_of_what_has_none_is_named(thing):
    with pytest.raises(ValueError, match="source"):
        plot.source(thing)


# Sliders


def wave(k):
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot(np.sin(np.linspace(0, 6, 100) + k))
    return fig


def test_slider_closes_its_figures_and_draws_them_twice_as_fine():
    html = plot.slider((wave(k) for k in range(3)), alt="a wave").data
    assert plt.get_fignums() == []
    assert decoded(re.search(r'<img src="([^"]+)"', html)[1]).shape == (400, 800, 3)
    assert "max-width:400px" in html


def test_slider_of_arrays_is_lossless():
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    html = plot.slider(frames, alt="noise", start=2).data
    np.testing.assert_array_equal(decoded(re.search(r'<img src="([^"]+)"', html)[1]), frames[2])
    others = re.findall(r'"(data:[^"]+)"', html.partition("<script>")[2])
    np.testing.assert_array_equal([decoded(x) for x in others], frames[[0, 1, 3]])


def test_slider_is_deterministic_and_its_name_depends_on_the_content():
    frames = np.zeros((2, 4, 4))
    key = functools.partial(re.search, r'data-dgm-slider="(\w+)"')
    first = plot.slider(frames, alt="x").data
    assert first == plot.slider(frames, alt="x").data
    others = [plot.slider(frames + 1, alt="x"), plot.slider(frames, alt="y")]
    assert len({key(h)[1] for h in (first, *(o.data for o in others))}) == 3


def test_slider_escapes_what_it_is_told():
    html = plot.slider(np.zeros((1, 4, 4)), ["</script><b>"], title='<i>"', alt="<u>").data
    assert html.count("</script>") == 1
    assert not re.search("<b>|<i>|<u>", html)


def test_slider_stays_under_its_limit_by_drawing_coarser():
    full = len(plot.slider([wave(0), wave(1)], alt="a wave").data)
    small = plot.slider([wave(0), wave(1)], alt="a wave", limit=full - 1).data
    assert len(small) < full
    assert "max-width:400px" in small


@pytest.mark.parametrize(
    ("frames", "more", "word"),
    [
        ([], {"alt": "x"}, "frames"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], {"alt": "x"}, "one size"),
        ([np.zeros(4)], {"alt": "x"}, r"frames\[0\]"),
        ([np.full((4, 4), 2.0)], {"alt": "x"}, "0..1"),
        ([np.full((4, 4), np.nan)], {"alt": "x"}, "0..1"),
        ([np.zeros((4, 4))], {"alt": "x", "labels": ["a", "b"]}, "labels"),
        ([np.zeros((4, 4))], {"alt": "x", "start": 1}, "start"),
        ([np.zeros((4, 4))], {}, "alt"),
        ([np.random.default_rng(0).random((64, 64))], {"alt": "x", "limit": 4000}, "kB"),
    ],
)
def test_bad_sliders_are_named(frames, more, word):
    with pytest.raises(ValueError, match=word):
        plot.slider(frames, **more)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium: the slider is not tried in a browser")
    with sync_api.sync_playwright() as play:
        yield play.chromium.launch(executable_path=BROWSER, args=FLAGS)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serve a page with three sliders: two different ones, and the first once more."""
    folder = tmp_path_factory.mktemp("page")
    shades = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 8, 8))
    one = plot.slider(shades, [f"shade {k}" for k in range(5)], "Shades", "grey", start=1).data
    two = plot.slider(1 - shades, title="Reversed", alt="grey").data
    head = "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=data:,>"
    (folder / "index.html").write_text(head + one + two + one)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.func.log_message = lambda *args: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


STATE = """() => [...document.querySelectorAll('.dgm-slider')].map(root => {
    const image = root.querySelector('img'), canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0, 1, 1);
    return [image.alt, root.querySelector('input').getAttribute('aria-valuetext'),
            context.getImageData(0, 0, 1, 1).data[0]];
})"""


def settled(page_, expected):
    """Wait until the sliders are in the expected state; return the state."""
    for _ in range(40):
        state = page_.evaluate(STATE)
        if state == expected:
            break
        page_.wait_for_timeout(25)
    return state


def test_slider_moves_by_keyboard_alone_and_says_so(browser, address):
    tab, requests, errors = browser.new_page(), [], []
    tab.on("request", lambda r: requests.append(r.url))
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.goto(address)
    start = [["grey: shade 1", "shade 1", 64], ["grey: 1", "1", 255]]
    assert settled(tab, [*start, start[0]]) == [*start, start[0]]
    tab.keyboard.press("Tab")  # the button
    tab.keyboard.press("Tab")  # the range
    tab.keyboard.press("ArrowRight")
    moved = [["grey: shade 2", "shade 2", 128], *start[1:], start[0]]
    assert settled(tab, moved) == moved
    tab.keyboard.press("End")
    moved[0] = ["grey: shade 4", "shade 4", 255]
    assert settled(tab, moved) == moved
    names = tab.locator("input").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert names == ["Shades", "Reversed", "Shades"]
    assert [r for r in requests if not r.startswith(("data:", address))] == []
    assert errors == []
    tab.close()


AS_JUPYTERLAB_DOES = """() => {  // all markup first, then every script
    document.body.innerHTML = document.body.innerHTML;
    document.querySelectorAll('.dgm-controls').forEach(e => e.remove());
    document.querySelectorAll('[data-ready]').forEach(e => delete e.dataset.ready);
    document.querySelectorAll('script').forEach(old => {
        const script = document.createElement('script');
        script.textContent = old.textContent;
        old.replaceWith(script);
    });
}"""


def test_sliders_of_one_page_keep_their_own_frames(browser, address):
    tab = browser.new_page()
    tab.goto(address)
    tab.evaluate(AS_JUPYTERLAB_DOES)
    tab.locator("input").nth(1).press("End")
    expected = [["grey: shade 1", "shade 1", 64], ["grey: 5", "5", 0]]
    assert settled(tab, [*expected, expected[0]]) == [*expected, expected[0]]
    tab.close()


def test_slider_plays_to_the_end_and_can_be_paused(browser, address):
    tab = browser.new_page()
    tab.clock.install()
    tab.goto(address)
    button = tab.get_by_role("button").first
    button.click()
    assert button.get_attribute("aria-label") == "Pause"
    tab.clock.run_for(700)
    assert tab.evaluate(STATE)[0][1] == "shade 2"
    button.click()
    tab.clock.run_for(5000)
    assert (tab.evaluate(STATE)[0][1], button.get_attribute("aria-label")) == ("shade 2", "Play")
    button.click()
    tab.clock.run_for(5000)
    assert (tab.evaluate(STATE)[0][1], button.get_attribute("aria-label")) == ("shade 4", "Play")
    assert tab.evaluate(STATE)[1][1] == "1", "the other slider has not moved"
    tab.close()


def test_slider_offers_no_motion_to_those_who_want_none(browser, address):
    tab = browser.new_page(reduced_motion="reduce")
    tab.goto(address)
    assert tab.locator("button:visible").count() == 0
    assert tab.locator("input:visible").count() == 3
    tab.close()


def test_slider_without_scripts_is_a_still_picture(browser, address):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert tab.locator("img:visible").count() == 3
    assert tab.locator("input:visible, button:visible").count() == 0
    assert tab.locator("img").first.get_attribute("alt") == "grey: shade 1"
    context.close()


# Strips, bars and matrices


def test_strips_name_each_row_at_its_middle():
    rows = {"above": DIGITS, "below": DIGITS.flip(0)}
    ax = strips(rows, levels=17).axes[0]
    assert [t.get_text() for t in ax.texts] == ["above", "below"]
    for row, text in enumerate(ax.texts):
        bottom, top = ax.get_images()[3 * row].get_extent()[2:]
        assert top < text.get_position()[1] < bottom
        assert text.get_position()[1] == pytest.approx((top + bottom) / 2)
    np.testing.assert_allclose(shown(ax.figure)[3], DIGITS[2, 0] / 16)


@pytest.mark.parametrize("rows", [{}, {"a": DIGITS, "b": DIGITS[:2]}])
def test_strips_of_unequal_rows_are_refused(rows):
    with pytest.raises(ValueError, match="rows"):
        strips(rows, levels=17)


def test_a_sheet_holds_every_pixel_at_its_place_and_is_white_between():
    grid = sheet(DIGITS, 17, ncols=2, gap=3)
    assert grid.shape == (19, 19)
    assert grid.dtype == np.uint8
    places = (grid[:8, :8], grid[:8, 11:], grid[11:, :8])
    for place, picture in zip(places, DIGITS, strict=True):
        np.testing.assert_array_equal(place, np.round(picture[0].numpy() * 255 / 16))
    assert (grid[:8, 8:11] == 255).all()
    assert (grid[8:11] == 255).all()
    assert (grid[11:, 8:] == 255).all()
    assert (sheet(torch.full((1, 1, 2, 2), 16), 17, ncols=1) == 255).all()


@pytest.mark.parametrize(
    ("x", "more"),
    [(DIGITS[:0], {}), (DIGITS[:, 0], {}), (DIGITS, {"ncols": 0}), (DIGITS, {"gap": -1})],
)
def test_bad_sheets_are_named(x, more):
    with pytest.raises(ValueError, match="expected"):
        sheet(x, 17, **({"ncols": 2} | more))


def test_score_bars_are_as_long_as_the_scores_and_reach_two_errors():
    means = {"a": Estimate(88.0, 0.5, 10), "b": Estimate(130.0, 2.0, 10)}
    ax = score_bars(means, {"theirs": 139.8}).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [88.0, 130.0]
    ends = [c.get_segments()[0][:, 0] for c in ax.collections]
    np.testing.assert_allclose(ends, [[87, 89], [126, 134]])
    assert "a: 88.00 ± 0.50" in [t.get_text() for t in ax.texts]
    assert 139.8 in [line.get_xdata()[0] for line in ax.get_lines()]
    with pytest.raises(ValueError, match="positive"):
        score_bars({"a": Estimate(-1.0, 0.5, 10)})


def test_matrix_writes_each_number_in_its_cell():
    values = torch.tensor([[0.0, 0.25, 1.0], [0.5, 0.75, 0.1]])
    ax = matrix(values, ("u", "v"), (1, 2, 3)).axes[0]
    found = {tuple(map(int, t.get_position())): t.get_text() for t in ax.texts}
    assert found[(2, 0)] == "1.00"
    assert found[(1, 1)] == "0.75"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["u", "v"]
    np.testing.assert_allclose(shown(ax.figure)[0], values)
    assert not matrix(values, ("u", "v"), (1, 2, 3), numbers=False).axes[0].texts
    with pytest.raises(ValueError, match="values"):
        matrix(values, ("u",), (1, 2, 3))


def test_a_class_map_numbers_every_island_and_no_stray():
    corner = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [0.05, 0.05], [0.1, 0.1]])
    groups = [corner, corner + 10, corner + torch.tensor([10.0, 0.0]), torch.tensor([[5.0, 0.0]])]
    labels = [0] * 5 + [0] * 5 + [7] * 5 + [7]  # class 0 twice, class 7 once and a stray
    ax = class_map(torch.cat(groups), labels).axes[0]
    found = sorted((t.get_text(), *map(round, t.get_position())) for t in ax.texts)
    assert found == [("0", 0, 0), ("0", 10, 10), ("7", 10, 0)]
    assert len({tuple(c) for c in ax.collections[0].get_facecolors()}) == 2
    assert [t.get_color() for t in class_map([[0, 0], [1, 1]], [3, 3]).axes[0].texts] == [
        LABEL_COLORS[3]
    ]


@pytest.mark.parametrize(
    ("points", "labels"), [([[0, 0, 0]], [1]), ([[0, 0]], [1, 2]), ([[0, math.nan]], [1]), ([], [])]
)
def test_bad_class_maps_are_named(points, labels):
    with pytest.raises(ValueError, match=r"points|expected"):
        class_map(points, labels)


# Pixels: what they see, what they cost, when they are drawn

VIEW = torch.tensor([[2, 2, 1], [2, 3, 0], [0, 0, 0]])


def test_a_view_has_its_own_colour_for_later_blind_seen_and_the_place():
    (shown_view,) = shown(sight_map(VIEW, title="sight"))
    assert np.array_equal(shown_view, VIEW_COLORS[VIEW.numpy()])
    assert len({tuple(c) for c in VIEW_COLORS}) == 4
    for wrong in (VIEW + 1, VIEW[0]):
        with pytest.raises(ValueError, match="view"):
            sight_map(wrong)


def test_unseen_pixels_are_numbered_where_there_are_any():
    counts = torch.tensor([[0, 3], [12, 0]])
    fig = unseen_map(counts, plt.subplots()[1])
    assert {(t.get_position(), t.get_text()) for t in fig.axes[0].texts} == {
        ((1, 0), "3"),
        ((0, 1), "12"),
    }


def test_the_vertical_stack_feeds_the_horizontal_one_and_never_back():
    fig = stack_maps([VIEW] * 2, [VIEW] * 3)
    place = {ax: (k // 3, k % 3) for k, ax in enumerate(fig.axes)}
    arrows = {(place[a.axesA], place[a.axesB]) for a in fig.artists}
    assert arrows == {
        ((0, 0), (0, 1)), ((1, 0), (1, 1)), ((1, 1), (1, 2)), ((0, 0), (1, 1)), ((0, 1), (1, 2))
    }  # fmt: skip
    with pytest.raises(ValueError, match="one more"):
        stack_maps([VIEW], [VIEW])


def test_costs_stand_under_their_pictures_and_add_up():
    x, bits = DIGITS[:2], torch.arange(128.0).view(2, 8, 8) / 100
    fig = cost_maps(x, bits, levels=17)
    tiles = [np.asarray(ax.get_images()[0].get_array()) for ax in fig.axes[:4]]
    for k in range(2):
        assert np.array_equal(tiles[k], x[k, 0])
        assert np.allclose(tiles[2 + k], bits[k])
    assert [ax.get_title() for ax in fig.axes[2:4]] == ["20 bits", "61 bits"]
    with pytest.raises(ValueError, match="bits"):
        cost_maps(x, bits[:1], levels=17)


def test_a_drawing_grows_by_rows_beside_the_belief_of_that_moment():
    belief = torch.rand(65, 10)
    frames = list(drawing_frames(DIGITS[:1], belief, levels=17))
    assert len(frames) == 5
    for done, fig in zip(range(0, 9, 2), frames, strict=True):
        (tile,) = shown(fig)
        assert np.allclose(tile[:done], DIGITS[0, 0, :done] / 16)
        assert np.allclose(tile[done:], UNDRAWN)
        heights = [bar.get_height() for bar in fig.axes[1].patches]
        assert np.allclose(heights, belief[8 * done])
    with pytest.raises(ValueError, match="beliefs"):
        next(drawing_frames(DIGITS[:1], belief[:-1], levels=17))
