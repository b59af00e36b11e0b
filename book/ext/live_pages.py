"""Fill the lines ``% live: NAME`` of a page with Markdown made from data at build time."""

import re

PAGES = {}


def fill(app, docname, source):
    source[0] = re.sub(
        r"^% live: (\w+)$", lambda m: PAGES[m[1]](app.srcdir), source[0], flags=re.MULTILINE
    )


def setup(app):
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
