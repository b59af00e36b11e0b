r"""Number figures, and link what the text names: equations, figures, chapters, sources.

Chapters are plain Markdown that says "(5.3)", "Figure 5.2", "chapter 11" or "Reed et al. (2017)".
Here such words become links, if what they name exists: an equation by its ``\tag``, a figure of
the page by its number, a chapter by its file, a source by first author and year. A chapter that
is not written yet is said to be to come.
"""

import codecs
import html
import re
import unicodedata

import latexcodec  # noqa: F401, teaches codecs "ulatex"; comes with sphinxcontrib-bibtex
from docutils import nodes
from formulas import TAG, anchor

NAME = r"(?:(?:[Vv]an|[Vv]on|[Dd]e[nr]?) )*[^\W\da-z_][\w’'-]+"
WORDS = re.compile(
    r"\((?P<equation>\d+\.\d+)\)"
    r"|\b[Ff]igure\s(?P<figure>\d+\.\d+)"
    r"|\b[Cc]hapter\s(?P<chapter>\d+)\b(?P<told>,? \(?to come)?"
    rf"|(?P<author>{NAME})(?:(?:, {NAME})*(?:,? and {NAME})?|,? et al\.),? "
    r"(?:\((?P<braced>[12]\d{3})\)|(?P<year>[12]\d{3})\b)"
)
SKIPPED = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.raw, nodes.math,
           nodes.math_block, nodes.comment)  # fmt: skip
MOVED = re.compile(r'<div class="(dgm-[\w-]+)"[^>]*\brole="group"[^>]*\baria-label="([^"]+)"')


def chapter_of(docname):
    """5 for ``notebooks/05_vae``; None for a page that is no chapter."""
    found = re.match(r"notebooks/(\d+)_", docname)
    return found and int(found[1])


def collect(app, doctree):
    """Remember where each numbered equation stands."""
    numbers = [TAG.search(node.astext()) for node in doctree.findall(nodes.math_block)]
    known = app.env.__dict__.setdefault("dgm_equations", {})
    known[app.env.docname] = [found[1] for found in numbers if found]


def forget(app, env, docname):
    env.__dict__.get("dgm_equations", {}).pop(docname, None)


def caption(alt):
    """The first sentence of an alternative text; two of them where the first only counts panels."""
    parts = re.split(r"(?<=[a-z\d)]\.) (?=[A-Z])", alt.strip().rstrip("."), maxsplit=2)
    return " ".join(parts[: 2 if len(parts[0].split()) < 6 else 1]).rstrip(".") + "."


def number_figures(app, doctree, docname):
    """Every figure a chapter's cells show gets its number and a caption from its description."""
    chapter, count = chapter_of(docname), 0
    if chapter is None:
        return []
    outputs = [n for n in doctree.findall(nodes.container) if "cell_output" in n["classes"]]
    shown = [
        n for out in outputs for n in out.findall(lambda n: isinstance(n, (nodes.image, nodes.raw)))
    ]
    for node in shown:
        moved = isinstance(node, nodes.raw) and MOVED.search(node.astext())
        if not (isinstance(node, nodes.image) or moved):
            continue
        words = html.unescape(moved[2]) if moved else node.get("alt", "")
        count += 1
        number = f"{chapter}.{count}"
        text = nodes.caption(
            "", "", nodes.strong("", f"Figure {number}"), nodes.Text(f" {caption(words)}")
        )
        figure = nodes.figure("", classes=["dgm-figure"], ids=[f"figure-{chapter}-{count}"])
        shell = node.parent if isinstance(node.parent, nodes.reference) else node
        shell.replace_self(figure)
        figure += [shell, text]
    return [f"{chapter}.{k}" for k in range(1, count + 1)]


def plain(text):
    """Letters of a name without accents and TeX: ``A{\\"a}ron`` is aaron."""
    text = codecs.decode(text, "ulatex").replace("{", "").replace("}", "")
    folded = unicodedata.normalize("NFKD", text)
    return "".join(c for c in folded if not unicodedata.combining(c)).lower()


def sources(app):
    """(first author's last name, year) -> place in the bibliography, where there is one only."""
    found = {}
    domain = app.env.get_domain("cite")
    for entry in domain.citations:
        source = domain.bibdata.data.entries[entry.key]
        first = source.persons["author"][0]
        name = " ".join([*first.prelast_names, *first.last_names])
        place = (entry.bibliography_key.docname, entry.citation_id)
        found.setdefault((plain(name), source.fields.get("year")), set()).add(place)
    return {key: min(places) for key, places in found.items() if len(places) == 1}


def address(app, docname, target, name=""):
    base = app.builder.get_relative_uri(docname, target) if target != docname else ""
    return f"{base}#{name}" if name else base


def link_words(app, doctree, docname):
    """Turn what the text names into links."""
    texts = list(doctree.findall(nodes.Text))
    figures = number_figures(app, doctree, docname)
    chapters = {chapter_of(d): d for d in app.env.found_docs if chapter_of(d)}
    equations = {n: d for d, found in app.env.dgm_equations.items() for n in found}
    cited = sources(app)

    def place(found):
        """Where a name leads; None for words that name nothing of this book."""
        if n := found["equation"]:
            return address(app, docname, equations[n], anchor(n)) if n in equations else None
        if n := found["figure"]:
            return f"#figure-{n.replace('.', '-')}" if n in figures else None
        if n := found["chapter"]:
            target = chapters.get(int(n))
            return address(app, docname, target) if target and target != docname else None
        target = cited.get((plain(found["author"]), found["braced"] or found["year"]))
        return address(app, docname, *target) if target else None

    for text in texts:
        node = text.parent
        while node is not None and not isinstance(node, SKIPPED):
            node = node.parent
        if node is not None:
            continue
        made, end, words = [], 0, text.astext()
        for found in WORDS.finditer(words):
            uri, n = place(found), found["chapter"]
            to_come = n and int(n) not in chapters and not found["told"] and chapter_of(docname)
            if uri is None and not to_come:
                continue
            made.append(nodes.Text(words[end : found.start()]))
            if uri:
                made.append(nodes.reference("", found[0], refuri=uri, internal=True))
            else:
                made.append(nodes.Text(f"{found[0]} (to come)"))
            end = found.end()
        if made:
            text.parent.replace(text, [*made, nodes.Text(words[end:])])


def setup(app):
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-resolved", link_words)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}
