"""Until a copy of the book has an address, its pages show nothing that needs one.

The repository holds a placeholder, ``-OWNER``, which the publishing workflow replaces. Where it
still stands, a build shows no repository and Colab buttons, no links there, no canonical address.
"""

import pathlib
import re

from docutils import nodes

PLACEHOLDER = "-OWNER"


def drop_buttons(app, config):
    options = config.html_theme_options
    if PLACEHOLDER in str(options.get("repository_url")):
        options |= {"launch_buttons": {}}
        options |= {f"use_{kind}_button": False for kind in ("repository", "issues", "edit_page")}


def drop_links(app, doctree, docname):
    """Take out links to the placeholder, the dot before them, and paragraphs that install it."""
    for link in list(doctree.findall(nodes.reference)):
        if PLACEHOLDER not in link.get("refuri", ""):
            continue
        block, before = link.parent, link.parent.index(link) - 1
        if before >= 0 and isinstance(block[before], nodes.Text):
            words = re.sub(r"\s*·\s*$", "", block[before].astext())
            block.replace(block[before], nodes.Text(words))
        block.remove(link)
        if not block.astext().strip():
            block.parent.remove(block)
    for code in list(doctree.findall(nodes.literal)):
        if PLACEHOLDER in code.astext() and isinstance(code.parent, nodes.paragraph):
            code.parent.parent.remove(code.parent)


def drop_addresses(app, exception):
    """No canonical address and no card for other sites without a site."""
    if exception is not None or app.builder.format != "html":
        return
    tag = re.compile(rf"<(?:meta|link)\b[^>]*{PLACEHOLDER}[^>]*>\s*")
    for page in pathlib.Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if tag.search(text):
            page.write_text(tag.sub("", text), encoding="utf-8")


def setup(app):
    app.connect("config-inited", drop_buttons, priority=900)
    app.connect("doctree-resolved", drop_links, priority=400)
    app.connect("build-finished", drop_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
