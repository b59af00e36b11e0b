"""Fill the lines ``% live: NAME ARGUMENTS`` of a page with Markdown made from data at build time.

So no table of the book is typed: chapters come from the notebooks, figures from ``results/``, slips
of the lectures from ``book/errata.yml``, the map and the reference from the package itself.
"""

import html
import json
import pathlib
import re

import yaml


def chapter_links(root):
    """stem -> (title, its question) of every chapter that exists."""
    found = {}
    for path in sorted(root.glob("notebooks/*.ipynb")):
        text = "".join(json.loads(path.read_text())["cells"][0]["source"])
        title, *rest = [line.strip() for line in text.split("\n") if line.strip()]
        bold = re.match(r"\*\*(.+?)\*\*", rest[0] if rest else "")
        found[path.stem] = (title.lstrip("# "), bold[1] if bold else "")
    return found


def chapters(root):
    rows = [
        f"* [{title}](../notebooks/{stem}.ipynb)\\\n  {question}"
        for stem, (title, question) in chapter_links(root).items()
    ]
    return "\n".join(rows)


def number(value):
    if isinstance(value, bool):
        return "holds" if value else "fails"
    size = abs(value)
    layout = ".1e" if 0 < size < 1e-3 else ",.0f" if size >= 1e4 else ",.5g"
    text = format(value, layout)
    return text.replace("-", "\u2212")  # a minus, which no line breaks at


def others(figure):
    """What a paper reports, and what re-running other people's code gave, with their source."""
    words = [
        f"{word} {number(figure[field])}"
        for word, field in (("published", "published"), ("re-run", "rerun"))
        if figure.get(field) is not None
    ]
    source = figure["source"] or ""
    shown = f"[source]({source})" if source.startswith("http") else source
    return f"{', '.join(words)} ({shown})" if words and shown else ", ".join(words)


def anchor(chapter, figure):
    """The name of a figure's line on the page of the ledger, for links to it."""
    words = ("figure", chapter, figure["row"], figure["model"], figure["name"])
    return "-".join(word.lower().replace("_", "-") for word in words if word)


def ledger_lines(book):
    """The figures of one chapter, as the table that book.css lays out."""
    yield ":::{table}\n:class: dgm-ledger\n"
    yield "| row | figure | ours | kind | others |\n|---|---|---:|---|---|"
    for f in book["figures"]:
        model = f"`{f['model']}` " if f["model"] else ""
        unit = "" if f["unit"] in (None, "1") else f" {f['unit']}"
        draws = f", {f['k']} draws" if f.get("k") else ""
        name = f"[{f['name'].replace('_', ' ')}]{{#{anchor(book['chapter'], f)}}}"
        ours = f"{number(f['value'])}{unit}"
        yield f"| {f['row']} | {model}{name} | {ours} | {f['kind']}{draws} | {others(f)} |"
    yield ":::\n"


def claim_lines(book):
    """What the chapter claims, each sentence a link to its row there."""
    if book.get("claims"):
        yield "What the chapter claims, each with what was measured there:\n"
    for claim in book.get("claims", []):
        where = f"../notebooks/{book['chapter']}.ipynb#claim-{claim['id']}"
        # HTML, which links.py leads to the page: MyST would look for a heading of that name
        yield f'* <a href="{where}">{html.escape(claim["sentence"])}</a>'
    yield ""


def ledger(root):
    """Every recorded figure and claim, chapter by chapter, beside the figures of others."""
    titles, parts = chapter_links(root), []
    for path in sorted(root.glob("results/*/*.json"), key=lambda p: (p.stem, p.parent.name)):
        book = json.loads(path.read_text())
        title = titles.get(book["chapter"], (book["chapter"], ""))[0]
        link = f"[The chapter](../notebooks/{book['chapter']}.ipynb), measured"
        where = link if book["chapter"] in titles else "Measured"
        parts.append(f"## {title}: {book['scale']} scale\n\n{where} on: {book['hardware']}.\n")
        parts += [*ledger_lines(book), *claim_lines(book)]
    return "\n".join(parts)


def errata(root):
    """The slips by lecture: what it says, what is right, and the chapter that shows it."""
    titles, parts = chapter_links(root), []
    for deck in yaml.safe_load((root / "book/errata.yml").read_text()):
        parts.append(f"## {deck['deck']}\n\n{deck['lecture']}\n")
        for slip in deck["slips"]:
            parts.append(
                f"**{slip['topic']}**\n: *Says:* {slip['says']}\n\n  *Right:* {slip['right']}"
            )
            if slip.get("chapter") in titles:
                link = f"../notebooks/{slip['chapter']}.ipynb"
                parts.append(f"\n  *Shown in:* [{titles[slip['chapter']][0]}]({link})")
            parts.append("")
    return "\n".join(parts)


def reference(root, *packages):
    """One autodoc section for every public module of these packages."""
    parts = []
    for package in packages:
        path = root / "dgm" / package
        single = path.with_suffix(".py")
        files = [single] if single.exists() else sorted(path.glob("*.py"))
        if files:
            parts.append(f"## dgm.{package}\n")
        for file in files:
            if file.stem.startswith("_") and file.stem != "__init__":
                continue
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            if file.stem == "__init__":
                module = module.removesuffix(".__init__")
            elif file != single:
                parts.append(f"### {file.stem}\n")
            only = "\n   :ignore-module-all:" if file.stem == "__init__" else ""  # no re-exports
            parts.append(f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:{only}\n```\n")
    return "\n".join(parts)


def map_of_models(root):
    from dgm import zoo
    from dgm.plot.tree import model_map

    drawn = model_map(zoo.entries().values(), link=lambda path: f"../{path}")
    return f"```{{raw}} html\n{drawn.data}\n```"


PAGES = {f.__name__: f for f in (chapters, ledger, errata, reference, map_of_models)}


def fill(app, docname, source):
    root = pathlib.Path(app.srcdir)

    def made(line):
        name, *arguments = line[1].split()
        return PAGES[name](root, *arguments)

    source[0] = re.sub(r"^% live: ([\w ]+)$", made, source[0], flags=re.MULTILINE)


def outdated(app, env, added, changed, removed):
    """Pages made from data are made again at every build: it takes a moment, and they stay true."""
    root = pathlib.Path(app.srcdir)
    return [
        d for d in env.found_docs if (p := root / f"{d}.md").exists() and "% live:" in p.read_text()
    ]


def setup(app):
    app.connect("source-read", fill)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
