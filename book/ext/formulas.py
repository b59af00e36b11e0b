r"""Render every formula while the book is built: no page carries MathJax (1.2 MB) or runs it.

MathJax of ``sphinx-mathjax-offline`` runs once for the whole site (``formulas.js``) in the Node
that playwright brings. A page gets its HTML, with MathML for screen readers; the site one style
sheet and the fonts. A displayed formula can be broken at its relations on a narrow screen, an
inline one is no tab stop; ``\tag{5.3}`` becomes a number beside it, ``#equation-5-3`` its address.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
from importlib.util import find_spec

from docutils import nodes

INLINE = r'<span class="math[^"]*">\\\((?P<inline>.*?)\\\)</span>'
SHOWN = r'(?P<open><div class="math[^>]*>\s*(?:<span class="eqno">.*?</span>)?)(?P<shown>.*?)</div>'
FORMULA = re.compile(f"{INLINE}|{SHOWN}", re.DOTALL)
TAG = re.compile(r"\s*\\tag\{(.+?)\}")
FONTS = "output/chtml/fonts/woff-v2"
SHEET = "_static/formulas.css"


def anchor(number):
    """The name of an equation on its page: 5.3 is ``equation-5-3``."""
    return "equation-" + re.sub(r"\W+", "-", number)


def keep_tags(app, doctree, docname):
    r"""Leave a tagged formula as it is written: Sphinx's ``split`` allows no ``\tag``."""
    for node in doctree.findall(nodes.math_block):
        if TAG.search(node.astext()) and not node["nowrap"]:
            node["nowrap"] = True
            node[:] = [nodes.Text(rf"\[{node.astext()}\]")]


def read(found):
    """(TeX, whether it is displayed, its number or None) of one formula of a page."""
    tex = html.unescape(found["inline"] if found["open"] is None else found["shown"]).strip()
    tex = re.sub(r"^\\\[|\\\]$", "", tex)
    number = TAG.search(tex)
    return TAG.sub("", tex).strip(), found["open"] is not None, number and number[1]


def written(found, rendered):
    """The formula's HTML in the page."""
    tex, display, number = read(found)
    if not display:
        return f'<span class="math">{rendered[tex, False]}</span>'
    start = found["open"]
    if number:
        start = start.replace("<div ", f'<div id="{anchor(number)}" ')
        return f'{start}{rendered[tex, True]}<span class="dgm-eqno">({number})</span></div>'
    return f"{start}{rendered[tex, True]}</div>"


def run(app, wanted):
    """(formula -> HTML, style sheet) from one run of MathJax."""
    driver = pathlib.Path(find_spec("playwright").submodule_search_locations[0], "driver")
    node = next(driver.glob("node*"))
    asked = {
        "mathjax": str(mathjax()), "formulas": wanted, "fonts": f"mathjax/{FONTS}",
        "macros": app.config.mathjax3_config["tex"]["macros"],
    }  # fmt: skip
    script = pathlib.Path(__file__).with_suffix(".js")
    done = subprocess.run(
        [node, script], input=json.dumps(asked), capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"MathJax failed: {done.stderr[-2000:]}")
    made = json.loads(done.stdout)
    return dict(zip(map(tuple, wanted), made["html"], strict=True)), made["css"]


def mathjax():
    return pathlib.Path(
        find_spec("sphinx-mathjax-offline").submodule_search_locations[0], "static/mathjax"
    )


def render(app, exception):
    """Fill in the formulas of every page that was written, and write style sheet and fonts."""
    if exception is not None or app.builder.format != "html":
        return
    static, known = (
        pathlib.Path(app.outdir, "_static"),
        pathlib.Path(app.doctreedir, "formulas.json"),
    )
    pages = {p: p.read_text(encoding="utf-8") for p in pathlib.Path(app.outdir).rglob("*.html")}
    # an earlier build has filled in the others: what stands there is HTML by now, no TeX
    pages = {page: text for page, text in pages.items() if SHEET not in text}
    found = {read(m)[:2] for text in pages.values() for m in FORMULA.finditer(text)}
    # the style sheet serves the pages of earlier builds too, which are not written again
    earlier = {tuple(f) for f in json.loads(known.read_text())} if known.exists() else set()
    wanted = sorted(found | earlier)
    known.write_text(json.dumps(wanted))
    rendered, css = run(app, wanted)
    (static / "formulas.css").write_text(css, encoding="utf-8")
    shutil.copytree(mathjax() / FONTS, static / "mathjax" / FONTS, dirs_exist_ok=True)
    for page, text in pages.items():
        if FORMULA.search(text):
            up = "../" * (len(page.relative_to(app.outdir).parts) - 1)
            sheet = f'<link rel="stylesheet" href="{up}{SHEET}">\n</head>'
            text = FORMULA.sub(lambda m: written(m, rendered), text).replace("</head>", sheet, 1)
            page.write_text(text, encoding="utf-8")


def drop_mathjax(app, pagename, template, context, doctree):
    """No page loads or configures MathJax."""
    context["script_files"] = [
        script for script in context.get("script_files", [])
        if "mathjax" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]  # fmt: skip


def setup(app):
    app.connect("doctree-resolved", keep_tags)
    app.connect("html-page-context", drop_mathjax, priority=950)
    app.connect("build-finished", render)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
