"""Offer every system of the zoo as one file: written into the site, listed on the page that asks.

The line ``% systems`` of a page becomes a list by chapter: the file to download, the command that
makes it, its size.
"""

import pathlib

from live_pages import chapter_links

FOLDER = "_static/copy"


def texts(app):
    """name -> the whole file, made once a build."""
    if not hasattr(app, "dgm_one_files"):
        from dgm import copy, zoo

        app.dgm_one_files = {name: copy.system(name) for name in zoo.modules()}
    return app.dgm_one_files


def listing(app, docname):
    """The systems as Markdown, chapter by chapter."""
    from dgm import zoo

    titles, files, parts = chapter_links(pathlib.Path(app.srcdir)), texts(app), []
    up = "../" * docname.count("/")
    for chapter in dict.fromkeys(entry.chapter for entry in zoo.entries().values()):
        title = titles.get(chapter, (chapter, ""))[0]
        parts.append(f"### [{title}](../notebooks/{chapter}.ipynb)\n")
        for name, entry in zoo.entries().items():
            if entry.chapter == chapter:
                lines = files[name].count("\n")
                link = f'<a href="{up}{FOLDER}/{name}.py" download><code>{name}.py</code></a>'
                parts.append(f"* {entry.title}: {link}, {lines} lines")
        parts.append("")
    return "\n".join(parts)


def fill(app, docname, source):
    if "\n% systems\n" in source[0]:
        source[0] = source[0].replace("% systems\n", listing(app, docname) + "\n")


def write(app, exception):
    if exception is None and app.builder.format == "html":
        folder = pathlib.Path(app.outdir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts(app).items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")


def setup(app):
    app.connect("source-read", fill)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
