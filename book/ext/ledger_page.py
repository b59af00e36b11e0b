"""The results ledger as a page: every figure in a table that sorts, claims by chapter.

Made from ``results/*/*.json`` at every build; `ledger_chart` draws the test nats.
"""

import html
import json
import re

import live_pages
from ledger_chart import KEY, chart, error_of, number_cell

COLUMNS = {  # title: whether it sorts by number
    "ch.": True, "row": False, "model": False, "figure": False, "ours": True, "s.e.": True,
    "unit": False, "kind": False, "figures of others": True,
}  # fmt: skip


def books(root):
    """The ledgers of all chapters and scales, in the order of the chapters."""
    paths = sorted(root.glob("results/*/*.json"), key=lambda p: (p.stem, p.parent.name))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def anchor(chapter, figure):
    """The name of a figure's line on this page, for links to it."""
    words = ("figure", chapter, figure["row"], figure["model"], figure["name"])
    return "-".join(word.lower().replace("_", "-") for word in words if word)


def others(figure):
    """What a paper reports, and what re-running other people's code gave, with their source."""
    shown = [
        f"{word} {live_pages.number(figure[field])}"
        for word, field in (("published", "published"), ("re-run", "rerun"))
        if figure.get(field) is not None
    ]
    source = figure["source"] or ""
    link = f'<a href="{html.escape(source)}">source</a>'
    return ", ".join(shown), link if source.startswith("http") else html.escape(source)


def row(book, figure):
    """One figure as a line of the table; ``data-by`` is what a column sorts by."""
    chapter = book["chapter"]
    place = f"../notebooks/{chapter}.ipynb"
    draws = f", {figure['k']} draws" if figure.get("k") else ""
    row_of = re.match(r"([A-Z]+)(\d+)", figure["row"])
    shown, source = others(figure)
    theirs = figure.get("published") if figure.get("published") is not None else figure.get("rerun")
    scale = "" if book["scale"] == "laptop" else f" ({book['scale']})"
    cells = [
        (chapter[:2], f'<a href="{place}">{chapter[:2].lstrip("0")}</a>{scale}'),
        (f"{row_of[1]}{int(row_of[2]):03}", figure["row"]),
        (None, html.escape((figure["model"] or "").replace("_", " "))),
        (None, html.escape(figure["name"].replace("_", " "))),
        number_cell(figure["value"]),
        number_cell(error_of(figure)),
        (None, figure["unit"] if figure["unit"] not in (None, "1") else ""),
        (None, figure["kind"] + draws),
        ("" if theirs is None else theirs, f"<b>{shown}</b> {source}".strip() if shown else ""),
    ]
    by = [f' data-by="{key}"' if key is not None else "" for key, _ in cells]
    tds = "".join(f"<td{key}>{text}</td>" for key, (_, text) in zip(by, cells, strict=True))
    stands_out = ' class="dgm-beside"' if shown else ""
    return f'<tr id="{anchor(chapter, figure)}"{stands_out}>{tds}</tr>'


def figures(root):
    """Every recorded figure, one line each."""
    head = "".join(
        f'<th scope="col"{" data-number" if number else ""}>{title}</th>'
        for title, number in COLUMNS.items()
    )
    lines = [row(book, figure) for book in books(root) for figure in book["figures"]]
    return (
        "```{raw} html\n"
        f'<div class="dgm-scroll" tabindex="0" role="region" aria-label="All figures">'
        f'<table class="dgm-figures dgm-sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n```"
    )


def claims(root):
    """What each chapter claims, folded; every sentence leads to its row in the chapter."""
    titles, parts = live_pages.chapter_links(root), []
    for book in books(root):
        said = book.get("claims", [])
        if not said:
            continue
        chapter = book["chapter"]
        title = titles.get(chapter, (chapter, ""))[0]
        items = "".join(
            f'<li><a href="../notebooks/{chapter}.ipynb#claim-{claim["id"]}">'
            f"{html.escape(claim['sentence'])}</a></li>"
            for claim in said
        )
        head = f"<b>{html.escape(title)}</b>: {len(said)} claims"
        where = f"<p>Measured on: {html.escape(book['hardware'])}, {book['scale']} scale.</p>"
        parts.append(f"<details><summary>{head}</summary>{where}<ul>{items}</ul></details>")
    return "```{raw} html\n<div class='dgm-said'>" + "\n".join(parts) + "</div>\n```"


def test_nats(root):
    """The charts of test nats, one for each data set."""
    return "```{raw} html\n" + KEY + chart(books(root), anchor) + "\n```"


def assets(app, pagename, template, context, doctree):
    if pagename == "book/ledger":
        app.add_css_file("ledger.css")
        app.add_js_file("sort.js", loading_method="defer")


def setup(app):
    live_pages.PAGES |= {f.__name__: f for f in (figures, claims, test_nats)}
    app.connect("html-page-context", assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
