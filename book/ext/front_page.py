"""The front page: a strip of draws, the families, and a card with a picture for each chapter.

Pictures and what they show come from ``book/static/gallery/gallery.json`` (tools/gallery.py),
titles and questions from the notebooks, families from the zoo: a new chapter needs no edit here.
"""

import html
import json
import re

import live_pages

GALLERY = "../_static/gallery"
TEX = {r"\mid": "|", r"\log": "log ", r"\,": " ", r"\theta": "θ", r"\lambda": "λ", "\\": ""}


def pictures(root):
    """name -> file, size and words of every picture."""
    record = root / "book/static/gallery/gallery.json"
    return json.loads(record.read_text(encoding="utf-8"))


def image(about, alt=None, lazy=False):
    late = ' loading="lazy"' if lazy else ""
    return (
        f'<img src="{GALLERY}/{about["file"]}" width="{about["width"]}" height="{about["height"]}"'
        f' alt="{html.escape(about["alt"] if alt is None else alt)}"{late} class="dark-light">'
    )


def words(markdown):
    """A title or question as HTML: emphasis kept, short formulas as letters (no MathJax here)."""

    def letters(found):
        text = found[1]
        for tex, letter in TEX.items():
            text = text.replace(tex, letter)
        return f"<i>{re.sub(' +', ' ', text)}</i>"

    text = re.sub(r"\$(.+?)\$", letters, html.escape(markdown, quote=False))
    return re.sub(r"\*(\S.*?)\*", r"<i>\1</i>", text)


def strip(root):
    """The first six draws of a system of each family, each a link to its chapter."""
    items = "".join(
        f'<li><a href="../notebooks/{about["chapter"]}.ipynb">{image(about)}'
        f"<span>{html.escape(about['label'])}</span></a></li>"
        for name, about in pictures(root).items()
        if name.startswith("strip-")
    )
    return f'```{{raw}} html\n<ul class="dgm-strip">{items}</ul>\n```'


def families(root):
    """The map in two lines: every family with the number of its systems, a link to its place."""
    from dgm import zoo
    from dgm.plot import tree

    branches = [entry.branch for entry in zoo.entries().values()]
    items = []
    for branch in tree.families():
        title, count = html.escape(tree.NODES[branch][0]), branches.count(branch)
        place = f"map.html#{tree.family_id(branch)}" if count else "map.html"
        badge = f"<b>{count}</b>" if count else "<i>to come</i>"
        color = tree.FAMILY_COLORS[branch[-1]]
        items.append(f'<li style="--dgm-color:{color}"><a href="{place}">{title} {badge}</a></li>')
    label = "Families of models, with the number of systems"
    head = '<a class="dgm-all" href="map.html">Map of models</a>'
    return (
        f'```{{raw}} html\n<nav class="dgm-families" aria-label="{label}">{head}'
        f"<ul>{''.join(items)}</ul></nav>\n```"
    )


def chapters(root):
    """A card for each chapter: picture, number, title, its one question."""
    found, items = pictures(root), []
    for stem, (title, question) in live_pages.chapter_links(root).items():
        about = found.get(f"card-{stem}")
        if about is None:
            raise ValueError(
                f"no picture of {stem}: add it to tools/gallery_cards.py, run gallery.py"
            )
        number, title = stem.split("_")[0].lstrip("0"), re.sub(r"^\d+\.\s*", "", title)
        items.append(
            f'<li><a href="../notebooks/{stem}.ipynb">{image(about, lazy=True)}'
            f'<span class="dgm-title"><b>{number}</b> {words(title)}</span></a>'
            f"<p>{words(question)}</p></li>"
        )
    return f'```{{raw}} html\n<ul class="dgm-cards">{"".join(items)}</ul>\n```'


def style(app, pagename, template, context, doctree):
    if pagename == app.config.root_doc:
        app.add_css_file("landing.css")


def setup(app):
    live_pages.PAGES |= {f.__name__: f for f in (strip, families, chapters)}
    app.connect("html-page-context", style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
