"""The latent plane: what it shows, what it refuses, and how it moves in a browser."""

import base64
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from dgm import plot
from dgm.plot.plane import LABEL_COLORS

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
XS, YS = np.linspace(-2, 2, 5), np.linspace(-1, 1, 3)
SHADES = np.arange(15, dtype=np.uint8).reshape(3, 5, 1, 1) * np.ones((1, 1, 4, 4), np.uint8) * 10


def page(**more):
    given = dict(points=[(0.0, 0.5), (-1.0, -1.0)], labels=[3, 7], title="Walk", alt="a grey plane")
    return plot.plane(SHADES, XS, YS, **(given | more)).data


def test_one_image_holds_every_place_with_y_upwards():
    address = re.search(r'src="data:image/webp;base64,([^"]+)"', page())[1]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(address))).convert("L"))
    assert sheet.shape == (12, 20)
    assert sheet[0, 0] == SHADES[2, 0, 0, 0]  # top left: least x, largest y
    assert sheet[-1, -1] == SHADES[0, 4, 0, 0]


def test_labels_stand_at_their_points():
    html = page()
    assert f'<text fill="{LABEL_COLORS[3]}" x="50.0" y="25.0">3</text>' in html
    assert f'<text fill="{LABEL_COLORS[7]}" x="25.0" y="100.0">7</text>' in html


def test_it_is_deterministic_loads_nothing_and_escapes():
    assert page() == page()
    assert page(title="<b>") != page()
    assert "<b>" not in page(title="<b>", names=("</script>", "b"))
    assert not re.search(r"https?://", page())


@pytest.mark.parametrize("color", LABEL_COLORS)
def test_label_colours_are_seen_on_light_and_on_dark(color):
    rgb = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (light + 0.05) >= 3
    assert (light + 0.05) / (0.0095 + 0.05) >= 3  # the book's dark page, #14181e


@pytest.mark.parametrize(
    ("images", "more", "word"),
    [
        (SHADES[0], {}, "images"),
        (SHADES / 100, {}, "images"),
        (np.full(SHADES.shape, np.nan), {}, "images"),
        (SHADES[:, :4], {}, "xs"),
        (SHADES, {"labels": [1]}, "labels"),
        (SHADES, {"title": "", "alt": " "}, "alt"),
    ],
)
def test_bad_planes_are_named(images, more, word):
    given = dict(points=[(0, 0), (1, 1)], labels=[1, 2], alt="x") | more
    with pytest.raises(ValueError, match=rf"\b{word}\b"):
        plot.plane(images, XS, YS, **given)


def test_places_must_increase():
    with pytest.raises(ValueError, match=r"\bys\b"):
        plot.plane(SHADES, XS, YS[::-1], alt="x")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium: the plane is not tried in a browser")
    with sync_api.sync_playwright() as play:
        yield play.chromium.launch(executable_path=BROWSER, args=FLAGS)


HEAD = "<!doctype html><html lang=en><meta charset=utf-8>"
SHOWN = """() => document.querySelector('.dgm-plane canvas')
    .getContext('2d').getImageData(1, 1, 1, 1).data[0]"""


def wait_for_shade(tab, expected):
    """Wait until the view shows this grey; return what it shows."""
    for _ in range(40):
        if (shade := tab.evaluate(SHOWN)) == expected:
            break
        tab.wait_for_timeout(25)
    return shade


def test_it_moves_by_keyboard_alone_and_says_so(browser):
    tab, requests, errors = browser.new_page(), [], []
    tab.on("request", lambda r: requests.append(r.url))
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.set_content(HEAD + page())
    assert wait_for_shade(tab, 70) == 70  # the middle
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert wait_for_shade(tab, 80) == 80
    tab.keyboard.press("Tab")
    tab.keyboard.press("End")
    assert wait_for_shade(tab, 130) == 130
    names = tab.locator("input").evaluate_all("all => all.map(e => [e.ariaLabel, e.ariaValueText])")
    assert names == [["z1", "+1.00"], ["z2", "+1.00"]]
    spoken = tab.locator("canvas").get_attribute("aria-label")
    assert spoken == "What the decoder draws at z1 = +1.00, z2 = +1.00"
    assert [r for r in requests if not r.startswith("data:")] == []
    assert errors == []
    tab.close()


def test_it_follows_the_pointer_on_the_map(browser):
    tab = browser.new_page()
    tab.set_content(HEAD + page())
    wait_for_shade(tab, 70)
    box = tab.locator("svg").bounding_box()
    tab.mouse.move(box["x"] + 0.02 * box["width"], box["y"] + 0.98 * box["height"])
    tab.mouse.down()
    assert wait_for_shade(tab, 0) == 0  # lower left
    tab.mouse.move(box["x"] + 2 * box["width"], box["y"] - 50)
    assert wait_for_shade(tab, 140) == 140  # dragged out at the upper right: stays on the plane
    tab.mouse.up()
    tab.close()


def test_without_scripts_the_whole_plane_is_a_still_picture(browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.set_content(HEAD + page())
    assert tab.locator("img:visible").count() == 1
    assert tab.locator("img").get_attribute("alt") == "a grey plane"
    assert tab.locator("input").count() == 0
    context.close()
