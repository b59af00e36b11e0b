"""Repairs of the rendered site: MathJax from the site itself, tagged formulas, valid roles."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes

PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2")  # 2 MB of the package's 24


def copy_mathjax(app, exception):
    """Copy the two parts that a page loads from the installed package into the site."""
    if exception is not None or app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    for part in PARTS:
        source = Path(package, "static/mathjax", part)
        target = Path(app.outdir, "_static/mathjax", part)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def drop_icon_script(app, exception):
    """The theme loads its icons twice, as fonts and as 1.5 MB of script: the fonts do."""
    if exception is not None or app.builder.format != "html":
        return
    script = re.compile(r'<script src="[^"]*fontawesome[^"]*/all\.min\.js[^"]*"></script>\s*')
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if script.search(text):
            page.write_text(script.sub("", text), encoding="utf-8")
    for path in Path(app.outdir).glob("_static/vendor/fontawesome/*/js"):
        shutil.rmtree(path)


def keep_tags(app, doctree, docname):
    r"""Give MathJax a tagged formula as JupyterLab does: Sphinx's ``split`` allows no ``\tag``."""
    for node in doctree.findall(nodes.math_block):
        if r"\tag" in node.astext() and not node["nowrap"]:
            node["nowrap"] = True
            node[:] = [nodes.Text(rf"\[{node.astext()}\]")]


def drop_doubles(app, pagename, template, context, doctree):
    """Keep the first of equal ``<script>`` tags (Jupyter Book and the theme both add some)."""
    kept = {}
    for script in context.get("script_files", []):
        body = str(getattr(script, "attributes", {}).get("body", ""))
        kept.setdefault((str(getattr(script, "filename", script) or ""), body), script)
    context["script_files"] = list(kept.values())


def drop_false_roles(app, pagename, template, context, doctree):
    """docutils calls the bibliography a list, but its entries are not list items."""
    if "body" in context:
        context["body"] = context["body"].replace('<div role="list" ', "<div ")


def name_solutions(app, pagename, template, context, doctree):
    """The folded code of an exercise says that it is the solution."""
    if "body" in context:
        context["body"] = re.sub(
            r'(<div class="cell [^"]*exercise-solution.*?</summary>)',
            lambda m: m[1].replace("the code<", "the solution<"),
            context["body"],
            flags=re.DOTALL,
        )


WIDE = 600  # pixels: on a phone such a figure is swiped, not shrunk until nothing can be read


def mark_wide_figures(app, pagename, template, context, doctree):
    """Give wide figures and sliders the class ``dgm-wide``; book.css does the rest."""
    if "body" not in context:
        return

    def mark(found):
        return found[0] if int(found[3]) < WIDE else f"{found[1]}dgm-wide {found[2]}{found[3]}"

    body = re.sub(r'(class=")(dgm-slider"[^>]*max-width:)(\d+)', mark, context["body"])
    context["body"] = re.sub(
        r'(<a class=")(reference internal image-reference"[^>]*><img [^>]*style="width: )(\d+)',
        mark,
        body,
    )


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", drop_icon_script)
    app.connect("doctree-resolved", keep_tags)
    app.connect("html-page-context", drop_doubles, priority=900)
    app.connect("html-page-context", drop_false_roles)
    app.connect("html-page-context", name_solutions)
    app.connect("html-page-context", mark_wide_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
