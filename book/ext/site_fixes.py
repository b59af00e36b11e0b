"""Repairs of the rendered site: scripts loaded once, valid roles, named folds, wide figures."""

import html
import re


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


def name_folds(app, pagename, template, context, doctree):
    """A fold is named by its words; the folded code of an exercise says that it is the solution."""
    if "body" in context:
        context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")
        context["body"] = re.sub(
            r'(<div class="cell [^"]*exercise-solution.*?</summary>)',
            lambda m: m[1].replace("the code<", "the solution<"),
            context["body"],
            flags=re.DOTALL,
        )


PRINTED = re.compile(
    r'(<div class="output (?:stream|text_plain)[^>]*>\s*<div class="highlight"><pre)>(.*?)</pre>',
    re.S,
)
FITS = 43  # characters of a printed line on a phone


def mark_prints(app, pagename, template, context, doctree):
    """Lines printed wider than a phone are elements of their own; book.css breaks them there."""

    def marked(found):
        lines = found[2].removeprefix("<span></span>").rstrip("\n").split("\n")
        if max(len(html.unescape(re.sub("<[^>]+>", "", line))) for line in lines) <= FITS:
            return found[0]
        rows = "\n".join(f'<span class="dgm-line">{line}</span>' for line in lines)
        return f'{found[1]} class="dgm-print">{rows}\n</pre>'

    if "body" in context:
        context["body"] = PRINTED.sub(marked, context["body"])


MEASURES = (440, 640, 780)  # pixels: three widths of figures instead of one each
DRAWN = re.compile(
    r'(class="dgm-slider"[^>]*max-width:|'
    r'<a class="[^"]*image-reference"[^>]*><img [^>]*style="width: )(\d+)'
)


def even_widths(app, pagename, template, context, doctree):
    """Figures and sliders get the nearest of three widths; small ones stay as they are."""

    def even(found):
        width = int(found[2])
        nearest = min(MEASURES, key=lambda m: max(m / width, width / m))
        return f"{found[1]}{nearest if width > 340 else width}"

    if "body" in context:
        context["body"] = DRAWN.sub(even, context["body"])


def setup(app):
    app.connect("html-page-context", drop_doubles, priority=900)
    app.connect("html-page-context", drop_false_roles)
    app.connect("html-page-context", name_folds)
    app.connect("html-page-context", mark_prints)
    app.connect("html-page-context", even_widths)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
