"""The built site, page by page, in a real browser with every request to another host refused."""

import functools
import http.server
import json
import pathlib
import re
import shutil
import threading
import types
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
SITE = ROOT / "_build/html"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
DOCS = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
PAGES = [f"{doc}.html" for doc in DOCS]
# The theme's own faults, not ours: its search field, and its scrolling side bars.
THEIRS = {"region", "landmark-unique", "scrollable-region-focusable"}
# The reference pages are made like that of the flows, which speaks for them: axe is slow on them.
ALIKE = {p for p in PAGES if "/api_" in p} - {"book/api_flows.html"}
SITE_MB, PAGE_MB = 12 + 3 * sum("notebooks/" in d for d in DOCS), 2


@pytest.fixture(scope="module")
def site():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as play:
        yield play.chromium.launch(executable_path=BROWSER, args=FLAGS)


@pytest.fixture
def visit(site, browser):
    """Open a page at a width and in a theme, noting requests abroad and console errors."""
    contexts = []

    def visit(path, width=390, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": 844})
        contexts.append(context)
        store = f"localStorage.mode = localStorage.theme = '{theme}'"
        context.add_init_script(f"try {{ {store} }} catch {{}}")
        page = context.new_page()
        page.abroad, page.errors, page.bytes = [], [], []

        def gate(route):
            if route.request.url.startswith((site, "data:", "blob:")):
                return route.continue_()
            page.abroad.append(route.request.url)
            return route.abort()

        page.route("**/*", gate)
        page.on("pageerror", lambda e: page.errors.append(str(e)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("response", lambda r: page.bytes.append(int(r.headers.get("content-length", 0))))
        page.goto(site + path)
        page.wait_for_function(
            "![...document.querySelectorAll('.math')].some(e => !e.querySelector('mjx-container'))"
        )
        return page

    yield visit
    for context in contexts:
        context.close()


def test_the_book_is_built():
    missing = [p for p in PAGES if not (SITE / p).is_file()]
    assert not missing, f"run make book; missing: {missing}"


def test_a_page_of_an_earlier_build_keeps_its_formulas(tmp_path, monkeypatch):
    """Read as TeX once more, the HTML of a formula grew tenfold at every build."""
    monkeypatch.syspath_prepend(str(ROOT / "book/ext"))
    import formulas

    app = types.SimpleNamespace(outdir=tmp_path / "site", doctreedir=tmp_path)
    app.builder = types.SimpleNamespace(format="html")
    app.config = types.SimpleNamespace(mathjax3_config={"tex": {"macros": {}}})
    old, new = (app.outdir / f"{name}.html" for name in ("old", "new"))
    written = '<head></head><div class="math notranslate">\n\\[p(x) = {}\\]</div>'
    (app.outdir / "_static").mkdir(parents=True)
    old.write_text(written.format("1"))
    formulas.render(app, None)
    first = old.read_text()
    new.write_text(written.format(r"\alpha"))
    formulas.render(app, None)
    assert "mjx-container" in first
    assert old.read_text() == first
    assert "mjx-container" in new.read_text()
    style = (app.outdir / "_static/formulas.css").read_text()
    assert {"31", "1D6FC"} <= set(re.findall(r"mjx-c([0-9A-F]+)", style)), "both pages need it"


def test_every_chapter_is_in_the_book_and_none_twice():
    chapters = sorted(p.stem for p in ROOT.glob("notebooks/*.ipynb"))
    assert [d.split("/")[1] for d in DOCS if d.startswith("notebooks/")] == chapters


def test_every_package_is_on_one_page_of_the_reference():
    pages = "".join((ROOT / f"{d}.md").read_text() for d in DOCS if "/api_" in d)
    shown = sorted(" ".join(re.findall(r"^% live: reference (.+)$", pages, re.M)).split())
    modules = {p.stem for p in ROOT.glob("dgm/[!_]*.py")}
    assert shown == sorted(modules | {p.parent.name for p in ROOT.glob("dgm/*/__init__.py")})


@pytest.mark.parametrize("doc", [d for d in DOCS if d.startswith("notebooks/")])
def test_every_figure_of_a_chapter_is_on_its_page(doc):
    cells = json.loads((ROOT / f"{doc}.ipynb").read_text())["cells"]
    drawn = [o for c in cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert drawn
    assert (SITE / f"{doc}.html").read_text().count('src="../_images/') >= len(drawn)


@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_on_a_phone_and_asks_no_other_host(visit, path):
    page = visit(path)
    seen = page.evaluate(
        """() => ({
        bad: document.querySelectorAll('mjx-merror, .problematic, .system-message').length,
        wide: document.documentElement.scrollWidth > innerWidth + 1,
        noalt: [...document.querySelectorAll('main img')]
                   .filter(i => !i.alt && i.ariaHidden !== 'true').map(i => i.src),
        broken: [...document.images]
                .filter(i => i.complete && !i.naturalWidth && i.checkVisibility())
                .map(i => i.src),
        unresolved: [...document.querySelectorAll('mjx-container')]
                    .filter(e => e.textContent.includes('???')).length,
        raw: [...document.querySelectorAll('main p')].map(e => e.innerText)
             .filter(t => /\\$\\$|\\{(cite|ref|eq|math)\\}/.test(t)),
        headings: document.querySelectorAll('article h1').length,
        cut: [...document.querySelectorAll('main div.math, main .output.stream pre')]
             .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id || e.innerText),
        outside: [...document.querySelectorAll('main .cell_output table:has(> caption) td')]
                 .filter(e => e.getBoundingClientRect().right
                              > e.closest('.cell_output').getBoundingClientRect().right + 1)
                 .map(e => e.innerText),
        scrolled: [...document.querySelectorAll('main .text_html > table:not(:has(> caption))')]
                  .filter(e => e.rows[0].cells.length <= 5 && e.checkVisibility()
                               && e.scrollWidth > e.parentElement.clientWidth + 1)
                  .map(e => e.innerText),
        stops: document.querySelectorAll('main .math [tabindex]').length,
        unnamed: [...document.querySelectorAll('main summary')]
                 .filter(e => e.ariaLabel || !e.innerText.trim()).map(e => e.outerHTML),
        mathjax: typeof MathJax !== 'undefined',
    })"""
    )
    assert (page.abroad, page.errors) == ([], [])
    assert seen == {
        "bad": 0, "wide": False, "noalt": [], "broken": [],
        "unresolved": 0, "raw": [], "headings": 1,
        "cut": [], "outside": [], "scrolled": [], "stops": 0, "unnamed": [], "mathjax": False,
    }  # fmt: skip
    assert sum(page.bytes) < PAGE_MB * 1e6, f"{sum(page.bytes) / 1e6:.1f} MB"


@pytest.mark.parametrize("path", [p for p in PAGES if p not in ALIKE])
def test_page_has_no_serious_accessibility_fault_in_either_theme(visit, path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(path, width=1280, theme="dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    options = {"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]}
    # Every token of a listing is an element: their colours are checked on the shorter pages.
    context = {"exclude": [[".highlight"]]} if path.startswith("notebooks/") else None
    faults = []
    for theme in ("dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = axe.run(page, context, options).response["violations"]
        faults += [
            f"{theme}: {v['id']}: {n['html'][:160]} {n['failureSummary'][:300]}"
            for v in found
            if v["impact"] in ("serious", "critical") and v["id"] not in THEIRS
            for n in v["nodes"]
            if not any(s in n["html"] for s in ("search-button", "navbar-icon-links"))
        ]
    assert faults == []


@pytest.mark.parametrize("path", PAGES)
def test_keyboard_reaches_the_text(visit, path):
    page = visit(path, width=1280)
    page.keyboard.press("Tab")
    assert "main-content" in page.evaluate("document.activeElement.closest('a, div').outerHTML")
    page.keyboard.press("Enter")
    page.wait_for_url("**#main-content", wait_until="commit", timeout=10_000)
    sliders = page.locator("main input[type=range]")
    for i in range(sliders.count()):
        before = sliders.nth(i).input_value()
        sliders.nth(i).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight") if before == sliders.nth(i).input_value() else None
        page.keyboard.press("ArrowLeft") if before == sliders.nth(i).input_value() else None
        assert sliders.nth(i).input_value() != before
    assert (page.abroad, page.errors) == ([], [])


LUMINANCE = """e => {
    const s = getComputedStyle(e), channel = c => (c /= 255) <= 0.04 ? c / 12.9
        : ((c + 0.055) / 1.055) ** 2.4;
    const light = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(channel)
        .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0.05);
    const [a, b] = [light(s.color), light(s.backgroundColor)];
    return Math.max(a, b) / Math.min(a, b);
}"""


def test_search_works_without_a_network(visit):
    page = visit("search.html?q=likelihood", width=1280, theme="dark")
    page.wait_for_selector("#search-results li", timeout=10_000)
    assert page.locator("#search-results .highlighted").first.evaluate(LUMINANCE) > 4.5
    space, icon = page.locator(".bd-search-container form.bd-search").evaluate(
        """f => [f.querySelector('input').getBoundingClientRect().left
               + parseFloat(getComputedStyle(f.querySelector('input')).paddingLeft),
               f.querySelector('.fa-magnifying-glass').getBoundingClientRect().right]"""
    )
    assert space >= icon, "the icon stands on the first letter"
    assert (page.abroad, page.errors) == ([], [])


class Anchors(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs.get("id"), attrs.get("name")}
        if tag in ("a", "img", "script", "link"):
            self.links.append(attrs.get("href") or attrs.get("src") or "")


def test_every_internal_link_resolves():
    pages = {p: Anchors(SITE / p) for p in PAGES}
    broken = []
    for page, anchors in pages.items():
        for link in anchors.links:
            where = urlsplit(urljoin(f"http://site/{page}", link))
            if where.netloc != "site" or where.scheme != "http":
                continue
            target = unquote(where.path).lstrip("/")
            whole = (SITE / target).exists()
            if whole and where.fragment and target in pages:
                whole = unquote(where.fragment) in pages[target].ids
            if not whole:
                broken.append((page, link))
    assert broken == []


def test_what_a_chapter_names_is_a_link_where_it_exists():
    """Equations and chapters in running text, and a number and words under every figure."""
    pages = {d: (SITE / f"{d}.html").read_text() for d in DOCS if d.startswith("notebooks/")}
    written = {int(d.split("/")[1][:2]) for d in pages}
    equations = {n for text in pages.values() for n in re.findall(r'id="equation-([\d-]+)"', text)}
    assert len(equations) > 50
    for doc, text in pages.items():
        prose = re.sub(r"<a\b.*?</a>|<code.*?</code>", " ", text, flags=re.DOTALL)
        prose = " ".join(re.findall(r"<p>.*?</p>", prose, re.DOTALL))
        plain = re.findall(r"\((\d+\.\d+)\)", prose)
        assert not [n for n in plain if n.replace(".", "-") in equations], doc
        own = int(doc.split("/")[1][:2])
        named = {int(n) for n in re.findall(r"[Cc]hapter\s(\d+)\b(?! \(to come\))", prose)}
        assert not (named & written) - {own}, doc
        assert named <= written, f"{doc} names chapters that are not written as if they were"
        captions = re.findall(r"<figcaption>.*?Figure (\d+)\.(\d+)</strong> \S", text, re.DOTALL)
        assert captions == [(str(own), str(k)) for k in range(1, len(captions) + 1)]
        assert len(captions) == text.count('<figure class="dgm-figure')
        assert len(captions) >= len(set(re.findall(r'href="(\.\./_images/[^"]+png)', text))) > 0


def test_an_unpublished_site_names_no_address_of_its_own():
    found = {}
    for page in SITE.rglob("*.html"):
        tags = re.findall(r"<(?:a|link|meta|img)\b[^>]*-OWNER[^>]*>", page.read_text())
        found |= {page.name: tags[:3]} if tags else {}
    assert found == {}


def test_the_errata_list_as_many_lectures_as_they_say():
    decks = yaml.safe_load((ROOT / "book/errata.yml").read_text())
    words = dict(four=4, five=5, six=6, seven=7)
    said = re.search(r"follows (\w+) lecture", (ROOT / "book/errata.md").read_text())[1]
    assert words[said] == len(decks)
    page = (SITE / "book/errata.html").read_text()
    assert len(re.findall(r'<h2>[^<]*<a class="headerlink"', page)) == len(decks)


def test_the_reference_links_its_sources_and_parts_its_parameters():
    for page in (SITE / "book").glob("api_*.html"):
        text = re.sub(r"<a\b.*?</a>", " ", page.read_text(), flags=re.DOTALL)
        text = re.sub(r"<head>.*?</head>", " ", text, flags=re.DOTALL)
        assert not re.findall(r"arXiv:\d{4}\.\d{5}", text), page
        assert "&gt;&gt;&gt;</strong>" not in text


def test_site_is_light(record_property):
    parts = {p: p.stat().st_size for p in SITE.rglob("*") if p.is_file()}
    total = sum(parts.values()) / 1e6
    record_property("site_mb", round(total, 1))
    largest = sorted(parts, key=parts.get)[-5:]
    report = json.dumps({str(p.relative_to(SITE)): parts[p] for p in largest}, indent=1)
    assert total < SITE_MB, f"{total:.1f} MB, the largest files: {report}"
