"""Fill the lines ``% live: NAME ARGUMENTS`` of a page with Markdown made from data at build time.

So no table of the book is typed: slips of the lectures come from ``book/errata.yml``, the map and
the reference from the package itself; `front_page` and `ledger_page` add what they make of the
notebooks and of ``results/``.
"""

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


def number(value):
    if isinstance(value, bool):
        return "holds" if value else "fails"
    size = abs(value)
    layout = ".1e" if 0 < size < 1e-3 else ",.0f" if size >= 1e4 else ",.5g"
    text = format(value, layout)
    return text.replace("-", "\u2212")  # a minus, which no line breaks at


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


def three_minutes(root):
    """What a short training makes of small photographs, beside what knows no model."""
    file = root / "dgm/zoo/studies/three_minutes.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    lines = ["| model or compressor | bits per dimension | seconds |", "|---|---|---|"]
    for name, bits in sorted(found["baselines"].items(), key=lambda pair: -pair[1]):
        lines.append(f"| {name} | {bits:.3f} | |")
    for run in sorted(found["runs"], key=lambda run: -run["test"]):
        bound = "" if run["sure"] else ", at most"
        bits = f"{run['test']:.3f} ± {run['error']:.3f}{bound}"
        lines.append(f"| **`{run['system']}`** | {bits} | {run['seconds']} |")
    return "\n".join(lines)


PAGES = {f.__name__: f for f in (errata, reference, map_of_models, three_minutes)}


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
