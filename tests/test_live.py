"""Figures that compute: what the page works out is what PyTorch does, by hand, keys and touch."""

import importlib.util
import math
import pathlib
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dgm import data, zoo
from dgm.distribution.level_table import LevelTable
from dgm.distribution.support import Levels
from dgm.linear.noisy_or import NoisyOr
from dgm.plot.live.atlas import atlas
from dgm.plot.live.dependence import dependence, moved_probability
from dgm.plot.live.diagnosis import noisy_or_diagnosis
from dgm.plot.live.digit import draw_a_digit, page_nats, scribble
from dgm.plot.live.elbo import elbo_by_hand
from dgm.plot.live.families import family_plane
from dgm.plot.live.frame import FOLDER
from dgm.plot.live.line import PRESETS, flow_1d
from dgm.plot.live.pack import fewest_bits, packed_program, rounded_to
from dgm.plot.live.record import record

ROOT = pathlib.Path(__file__).resolve().parents[1]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
HEAD = "<!doctype html><html lang=en><meta charset=utf-8><title>live</title><main>"
SMALL = Levels((1, 4, 4), 3)


@pytest.fixture(scope="module")
def playground():
    spec = importlib.util.spec_from_file_location("playground", ROOT / "book/ext/playground.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium: the figures are not tried in a browser")
    with sync_api.sync_playwright() as play:
        yield play.chromium.launch(executable_path=BROWSER, args=FLAGS)


@pytest.fixture
def open_page(browser):
    """Open HTML alone; afterwards there must have been no request and no error."""
    tabs = []

    def open_page(html, **context):
        tab = browser.new_context(**context).new_page()
        tab.bad = []
        tab.on("request", lambda r: None if r.url[:5] == "data:" else tab.bad.append(r.url))
        tab.on("pageerror", lambda e: tab.bad.append(str(e)))
        tab.set_content(HEAD + html)
        tabs.append(tab)
        return tab

    yield open_page
    for tab in tabs:
        assert tab.bad == []
        tab.context.close()


def in_root(tab, code, *given):
    return tab.evaluate(
        f"given => {{ const root = document.querySelector('.dgm-live'); {code} }}", given
    )


def untrained(name, kind=SMALL, **sizes):
    torch.manual_seed(0)
    model = zoo.get(name).build(kind, **sizes).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


# --- recording and packing ------------------------------------------------------------------------


def test_a_recorded_program_is_the_function_on_other_inputs_too():
    model = untrained("gated_pixelcnn", width=4, blocks=2)
    x = torch.randint(3, (6, 1, 4, 4), dtype=torch.uint8)
    function, bound = page_nats(model, 2)
    program = record(function, x[:1])
    assert not bound
    for row in x:
        torch.testing.assert_close(program(row[None]).sum(), model.log_prob(row[None])[0])


def test_noise_of_a_bound_is_kept():
    model = untrained("vae", latent_dim=2, width=4)
    function, bound = page_nats(model, 4)
    x = torch.randint(3, (2, 1, 4, 4), dtype=torch.uint8)
    program = record(function, x[:1], seed=3)
    assert bound
    torch.manual_seed(3)
    torch.testing.assert_close(program(x[1:]), model.iw_bound(x[1:], 4))
    torch.testing.assert_close(program(x[1:]), program(x[1:]))


def test_rounding_is_within_half_a_step_and_spares_small_tensors():
    values = torch.randn(1000)
    for bits in (6, 10):
        step = values.abs().max() / (2 ** (bits - 1) - 1)
        assert (rounded_to(values, bits) - values).abs().max() <= 0.51 * step
    torch.testing.assert_close(rounded_to(values[:100], 6), values[:100])


def test_too_few_bits_are_refused_by_name():
    model = untrained("nade", width=16)
    x = torch.randint(3, (2, 1, 4, 4), dtype=torch.uint8)
    with pytest.raises(ValueError, match="tolerance"):
        fewest_bits(record(page_nats(model, 1)[0], x[:1]), x, 1e-9, range(4, 6))


SYSTEMS = ["fvsbn", "nade", "made", "pixelcnn", "gated_pixelcnn", "categorical_mixture", "vae"]


def test_the_page_evaluates_every_kind_of_model_as_pytorch_does(open_page):
    tab = open_page("<p>")
    script = (FOLDER / "tensor.js").read_text().replace("const dgmTensor", "window.dgmTensor")
    tab.add_script_tag(content=script)
    x = torch.randint(3, (3, 1, 4, 4), dtype=torch.uint8)
    run = """([spec, rows]) => { const f = dgmTensor.program(spec);
        return rows.map(r => f(dgmTensor.tensor([1, 1, 4, 4], Float64Array.from(r)))
                             .reduce((a, b) => a + b)); }"""
    for name in SYSTEMS:
        function, _ = page_nats(untrained(name), 3)
        program = record(function, x[:1])
        found = tab.evaluate(run, [packed_program(program, 22), x.flatten(1).tolist()])
        right = [program(row[None]).sum().item() for row in x]
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4, err_msg=name)


# --- the figures ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digit_page(playground):
    return playground.digit(ROOT).data


def test_drawn_pictures_cost_what_pytorch_says(open_page, digit_page, playground):
    digits, tab = data.load("digits"), open_page(digit_page)
    pictures = torch.cat([digits.test[:5], scribble(17)[None]])
    found = np.array(
        [in_root(tab, "return root.dgmNats(given[0])", x.flatten().tolist()) for x in pictures]
    )
    exact = {
        0: LevelTable(digits.kind).fit_to(digits.train, 0.1),
        2: zoo.load("nade", "digits").eval(),
        3: zoo.load("gated_pixelcnn", "digits").eval(),
    }
    with torch.no_grad():
        for k, model in exact.items():
            np.testing.assert_allclose(found[:, k], -model.log_prob(pictures), atol=0.05)
        vae = zoo.load("vae", "digits").eval()
        for x, cost in zip(pictures, found[:, 4], strict=True):
            torch.manual_seed(0)  # the noise that the page holds
            assert cost == pytest.approx(-vae.iw_bound(x[None], 16).item(), abs=0.05)
    # what is no digit costs more, under every model
    inverted = in_root(tab, "return root.dgmNats(given[0])", (16 - pictures[0]).flatten().tolist())
    assert (found[5] > found[:5].max(0) + 50).all()
    assert (np.array(inverted) > found[0] + 50).all()
    assert len(digit_page) < 650_000


def small_digit_page():
    models = {
        "Table": LevelTable(Levels((1, 8, 8), 17)),
        "NADE": untrained("nade", Levels((1, 8, 8), 17), width=4),
    }
    return draw_a_digit(models, data.load("digits").test[:2]).data


def test_a_digit_is_drawn_by_keys_and_by_touch(open_page):
    tab = open_page(small_digit_page(), has_touch=True, viewport={"width": 390, "height": 844})
    tab.get_by_role("button", name="Clear").tap()
    canvas = tab.locator(".dgm-ink")
    pen = "root.querySelector('.dgm-ink').getContext('2d')"
    level = f"return {pen}.getImageData(...given, 1, 1).data[0]"
    canvas.focus()
    for key in ("ArrowUp", "ArrowLeft", "9"):
        tab.keyboard.press(key)
    assert in_root(tab, level, 3 * 64 + 32, 3 * 64 + 32) == 255
    assert in_root(tab, level, 5 * 64 + 32, 5 * 64 + 32) == 0
    tab.keyboard.press("Space")
    assert in_root(tab, level, 3 * 64 + 32, 3 * 64 + 32) == 0
    box = canvas.bounding_box()
    tab.touchscreen.tap(box["x"] + box["width"] * 0.69, box["y"] + box["height"] * 0.69)
    assert in_root(tab, level, 5 * 64 + 32, 5 * 64 + 32) == 255
    tab.wait_for_function(
        "document.querySelector('[role=status]').textContent.includes('NADE charges')"
    )
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dependence_is_causal_and_blind_where_the_network_is():
    """Masked 3 by 3 taps see one column to the right for every row above, and no more."""
    gated = untrained("gated_pixelcnn", Levels((1, 5, 5), 4), width=8, blocks=4)
    x = torch.randint(4, (2, 1, 5, 5), dtype=torch.uint8)
    moved = moved_probability(gated, x) > 1e-6
    assert not moved.triu().any()
    assert moved[12, :12].sum() == 12  # no blind spot


def test_a_change_of_the_pixel_before_moves_what_it_must():
    """A chain that copies: the prediction moves wholly with the pixel before, and with no other."""

    class Copies(torch.nn.Module):
        data = Levels((1, 2, 2), 2)

        def forward(self, x):
            before = torch.cat((x.new_zeros(len(x), 1), x.flatten(1)[:, :-1]), 1)
            return torch.nn.functional.one_hot(before.long(), 2).float().log().view(-1, 1, 2, 2, 2)

    moved = moved_probability(Copies(), torch.randint(2, (3, 1, 2, 2), dtype=torch.uint8))
    torch.testing.assert_close(moved, torch.eye(4).roll(1, 0) * torch.tensor([1, 1, 1, 0.0]))


def test_a_pixel_is_chosen_by_keys_and_by_touch(open_page):
    model = untrained("gated_pixelcnn", width=4, blocks=2)
    pictures = torch.randint(3, (2, 1, 4, 4), dtype=torch.uint8)
    page = dependence({"A": model, "B": model}, pictures, start=(1, 1)).data
    tab = open_page(page, has_touch=True, viewport={"width": 390, "height": 844})
    said = "document.querySelector('[role=status]').textContent"
    tab.wait_for_function(
        f"{said}.startsWith('Row 2, column 2. A: its prediction moves with 5 of 5')"
    )
    tab.locator("canvas").first.focus()
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function(f"{said}.startsWith('Row 3, column 2.')")
    box = tab.locator("canvas").last.bounding_box()
    tab.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    tab.wait_for_function(f"{said}.startsWith('Row 4, column 4.')")
    tab.get_by_role("button").tap()
    tab.wait_for_function(f"{said}.includes('it moves 0 of 0 later')")


def test_the_flow_keeps_its_area_its_slope_and_its_order(open_page):
    tab = open_page(flow_1d().data)
    for knots in PRESETS.values():
        given = [list(k) for k in knots]
        in_root(tab, "root.dgmFlow.set(given[0])", given)
        assert in_root(tab, "return root.dgmFlow.area()") == pytest.approx(1, abs=1e-4)
        x = np.linspace(-3.9, 3.9, 79) + 0.013
        z, slope = np.array(in_root(tab, "return given[0].map(root.dgmFlow.map)", x.tolist())).T
        near = np.array(in_root(tab, "return given[0].map(root.dgmFlow.map)", (x + 1e-6).tolist()))
        np.testing.assert_allclose((near[:, 0] - z) / 1e-6, slope, rtol=1e-3)
        assert (slope > 0).all()
        for x_k, z_k in knots:
            assert in_root(tab, "return root.dgmFlow.map(given[0])[0]", x_k) == pytest.approx(z_k)


def test_a_knot_moves_by_keys_and_by_hand_but_not_past_its_neighbour(open_page):
    tab = open_page(flow_1d().data)
    tab.get_by_role("button", name="Identity").click()
    knot = tab.locator(".dgm-knot").nth(2)
    knot.focus()
    tab.keyboard.press("ArrowUp")
    assert knot.get_attribute("aria-valuetext") == "x 0.0, z 0.1"
    box = knot.bounding_box()
    tab.mouse.move(box["x"] + 8, box["y"] + 8)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 300, box["y"] - 300)
    tab.mouse.up()
    assert knot.get_attribute("aria-valuetext") in ("x 0.9, z 0.9", "x 0.9, z 1.0", "x 1.0, z 0.9")
    assert in_root(tab, "return root.dgmFlow.area()") == pytest.approx(1, abs=1e-4)
    tab.locator("input[type=range]").press("ArrowRight")
    assert tab.locator("input[type=range]").get_attribute("aria-valuetext") == "0.55"


def test_the_bound_by_hand_is_the_bound_by_quadrature(open_page):
    tab = open_page(elbo_by_hand(noise=0.5).data)
    z = np.linspace(-9, 9, 200_001)
    width, dz = 0.6, z[1] - z[0]
    for x, mean in ((1.5, 0.3), (-0.5, 0.0), (3.0, -1.7)):
        joint = (
            -0.5 * ((x - z * z) / 0.5) ** 2 - math.log(0.5) - 0.5 * z * z - math.log(2 * math.pi)
        )
        log_q = -0.5 * ((z - mean) / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
        q, evidence = np.exp(log_q), math.log(np.exp(joint).sum() * dz)
        found = in_root(tab, "return root.dgmTerms(...given)", x, mean, width)
        assert found["cost"] == pytest.approx((q * (log_q - joint)).sum() * dz, abs=1e-6)
        assert found["exact"] == pytest.approx(-evidence, abs=1e-6)
        assert found["gap"] == pytest.approx((q * (log_q - joint + evidence)).sum() * dz, abs=1e-6)
        assert found["reconstruction"] + found["kl"] == pytest.approx(found["cost"])


def test_the_best_q_covers_one_of_two_peaks_and_loses_log_two(open_page):
    tab = open_page(elbo_by_hand(start=(4, 0.5, 1.0)).data)
    tab.get_by_role("button", name="Best q near here").press("Enter")
    numbers = tab.locator(".dgm-number").all_inner_texts()
    assert float(numbers[1].split()[0]) == pytest.approx(math.log(2), abs=0.03)
    ranges = tab.locator("input[type=range]")
    assert ranges.nth(1).get_attribute("aria-valuetext").startswith("1.9")
    tab.locator("svg").click(position={"x": 20, "y": 40})  # far on the left: the mean follows
    assert ranges.nth(1).get_attribute("aria-valuetext") == "−3.00"
    ranges.nth(1).press("End")
    assert ranges.nth(1).get_attribute("aria-valuetext") == "3.00"


def test_the_clinic_of_the_page_is_that_of_the_chapter_and_exact(open_page, playground):
    causes, findings, model = playground.clinic(ROOT)
    assert (len(causes), len(findings)) == (6, 13)
    tab = open_page(noisy_or_diagnosis(model, causes, findings, ["runny nose", "sneezing"]).data)
    for k in (0, 5, 777, 8191):
        there = [k >> j & 1 for j in range(13)]
        chance, total = in_root(tab, "return root.dgmPosterior(given[0], true)", there)
        x = torch.tensor([there])
        np.testing.assert_allclose(
            chance, model.posterior(x).probs[0].detach() @ model.states(), atol=1e-5
        )
        assert math.log(total) == pytest.approx(model.log_prob(x).item(), abs=1e-4)
    chance, total = in_root(tab, "return root.dgmPosterior(given[0], false)", [0] * 13)
    np.testing.assert_allclose(chance, model.prior_logit.sigmoid().detach(), atol=1e-6)
    assert total == pytest.approx(1)


def test_explaining_away_by_keys(open_page, playground):
    tab = open_page(playground.diagnosis(ROOT).data)
    shown = lambda: tab.locator(".dgm-number").all_inner_texts()  # noqa: E731
    assert shown()[0] == "31 %"
    tab.get_by_label("itchy eyes").press("Space")
    assert shown()[0] == "1 %"
    tab.get_by_role("button", name="Unchecked means: not asked").press("Enter")
    assert shown()[0] not in ("31 %", "1 %")
    tab.get_by_role("button", name="Clear").press("Enter")
    assert shown()[0] == "20 %"


def small_atlas():
    families = {
        "flows": [("λ = <1>", 3.5, 90.0), ("λ = 2", 3.25, 85.0)],
        "codes": [("α", 2.0, 95.0)],
    }
    told = "Three models by bits and accuracy, in two families"
    return atlas(families, ("bits", "% right"), {"no bits": 97.0}, "An atlas", told).data


def test_models_of_an_atlas_are_asked_by_keys_by_hand_and_by_family(open_page):
    tab = open_page(small_atlas())
    said = tab.locator(".dgm-said").first
    assert said.inner_text() == "flows, λ = <1>: 3.50 bits, 90.0 % right."
    tab.locator(".dgm-plot").press("ArrowRight")
    assert said.inner_text() == "flows, λ = 2: 3.25 bits, 85.0 % right."
    box = tab.locator("circle").nth(2).bounding_box()
    tab.mouse.click(box["x"] + 5, box["y"] + 5)
    assert said.inner_text() == "codes, α: 2.00 bits, 95.0 % right."
    tab.get_by_role("button", name="flows").press("Enter")
    tab.locator(".dgm-plot").press("ArrowLeft")
    assert said.inner_text().startswith("codes")
    tab.get_by_role("button", name="codes").click()
    assert said.inner_text() == "No family is shown."
    assert tab.locator("text=no bits").count() == 1


def small_plane():
    places = [
        ("Slow <1>", "s", "flow", 2.0, [1.5, 80.0]),
        ("Fast", "f", "adversarial", 0.004, [None, 40.0]),
        ("Middle", "m", "latent", 0.05, [1.25, 120.0]),
    ]
    told = "Three families by the seconds of a draw"
    return family_plane(places, "seconds", ("bits", "distance"), "A plane", told).data


def test_families_are_asked_from_the_fastest_on_by_either_score(open_page):
    tab = open_page(small_plane())
    said = tab.locator(".dgm-said").first
    assert said.inner_text() == "Middle (m): 50 ms, bits 1.250. Without a place here: Fast."
    tab.locator(".dgm-plot").press("ArrowRight")
    assert said.inner_text().startswith("Slow <1> (s): 2.0 s, bits 1.500.")
    tab.get_by_role("button", name="distance").press("Enter")
    assert said.inner_text() == "Fast (f): 4.0 ms, distance 40."
    box = tab.locator("circle").nth(1).bounding_box()
    tab.mouse.click(box["x"] + 5, box["y"] + 5)
    assert said.inner_text() == "Middle (m): 50 ms, distance 120."


# --- what they owe every reader -------------------------------------------------------------------


def pages():
    torch.manual_seed(0)
    model = NoisyOr(Levels((2,), 2), 2)
    gated = untrained("gated_pixelcnn", width=4, blocks=2)
    return {
        "digit": small_digit_page(),
        "dependence": dependence({"A": gated}, torch.zeros(1, 1, 4, 4, dtype=torch.uint8)).data,
        "line": flow_1d().data,
        "elbo": elbo_by_hand().data,
        "diagnosis": noisy_or_diagnosis(model, ["<a>", "</script>"], ["c", "d"]).data,
        "atlas": small_atlas(),
        "families": small_plane(),
    }


def test_every_figure_is_named_deterministic_and_loads_nothing():
    made = pages()
    assert made == pages()
    for name, html in made.items():
        assert re.search(r'role="group" aria-label="[^"]{20,}"', html), name
        assert not re.search(r'(src|href)="https?:|@import|url\(', html), name
        assert html.count("</script>") == 1, name


def test_no_figure_is_wider_than_a_phone_and_without_scripts_a_sentence_stays(browser, open_page):
    for name, html in pages().items():
        tab = open_page(html, viewport={"width": 390, "height": 844})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        context = browser.new_context(java_script_enabled=False)
        still = context.new_page()
        still.set_content(HEAD + html)
        assert still.locator(".dgm-still:visible").count() == 1, name
        assert still.locator("canvas:visible, svg:visible").count() == 0, name
        context.close()


def test_the_page_asks_for_figures_that_exist_and_gets_them(playground):
    page = (ROOT / "book/playground.md").read_text()
    assert sorted(re.findall(r"^% play: (.+)$", page, re.M)) == sorted(playground.FIGURES)
    noted, source = [], ["before\n% play: line\nafter"]
    app = SimpleNamespace(srcdir=ROOT, env=SimpleNamespace(note_dependency=noted.append))
    playground.fill(app, "book/playground", source)
    assert source[0].startswith('before\n```{raw} html\n<div class="dgm-live')
    assert source[0].endswith("\n```\nafter")
    assert source[0].count("```") == 2
    assert any(path.endswith("line.html") for path in noted)


def test_stale_weights_leave_a_warning_and_no_figure(playground, monkeypatch):
    def stale(root):
        raise ValueError("stale")

    monkeypatch.setitem(playground.FIGURES, "line", stale)
    source = ["% play: line"]
    app = SimpleNamespace(srcdir=ROOT, env=SimpleNamespace(note_dependency=str))
    playground.fill(app, "book/playground", source)
    assert source == ["% play: line"]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: flow_1d({"a": [(0, 0), (1, -1)]}), "presets"),
        (lambda: flow_1d({"a": [(0, 0), (5, 1)]}), "presets"),
        (lambda: elbo_by_hand(noise=0.0), "noise"),
        (lambda: atlas({}, ("a", "b"), {}, alt="none"), "families"),
        (lambda: atlas({"a": [("b", math.nan, 1.0)]}, ("x", "y"), {}, alt="one"), "families"),
        (lambda: atlas({"a": [("b", 1.0, 1.0)]}, ("x", "y"), {"a": 1.0}, alt="one"), "lines"),
        (lambda: elbo_by_hand(start=(1, 9, 1)), "start"),
        (lambda: noisy_or_diagnosis(NoisyOr(Levels((2,), 2), 2), ["a"], ["b", "c"]), "causes"),
        (lambda: noisy_or_diagnosis(NoisyOr(Levels((1,), 2), 13), "abcdefghijklm", "n"), "causes"),
        (lambda: noisy_or_diagnosis(NoisyOr(Levels((1,), 2), 1), ["a"], ["b"], ["z"]), "start"),
        (lambda: dependence({}, torch.zeros(1, 1, 4, 4), start=(4, 0)), "start"),
        (lambda: moved_probability(untrained("nade"), torch.zeros(1, 2, 4, 4)), "pictures"),
        (lambda: draw_a_digit({"t": LevelTable(SMALL)}, torch.zeros(1, 1, 4, 4)), "cost_of"),
    ],
)  # fmt: skip
def test_bad_calls_are_named(call, word):
    with pytest.raises(ValueError, match=rf"\b{word}\b"):
        call()
