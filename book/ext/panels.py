"""On a phone the panels of a wide figure stand below each other.

A figure is one picture. Where white columns part it into panels it is shown once for each of them,
each a window on the same file (``object-fit: cover`` at the panel's place); on a wider screen only
the first is seen, whole. A figure that cannot be parted is shrunk; a tap opens it in full.
"""

import pathlib
import re
from urllib.parse import unquote

import numpy as np
from PIL import Image

from dgm.plot.panels import WIDE, cuts, styles, white_columns

FIGURE = re.compile(r'(<a class=")(reference internal image-reference"[^>]*>)(<img [^>]*>)')


def windows(picture, tag):
    """The picture's tag once for each panel; empty where it has none."""
    tags = []
    for style in styles(cuts(white_columns(picture)), len(picture)):
        copy = tag.replace('style="', f'style="{style};')
        tags.append(re.sub(r'alt="[^"]*"', 'alt="" aria-hidden="true"', copy) if tags else copy)
    return "".join(tags)


def stack(app, pagename, template, context, doctree):
    """Part the wide figures of a page that have panels."""
    if "body" not in context:
        return

    def marked(found):
        source = unquote(re.search(r'src="([^"]+)"', found[3])[1])
        file = pathlib.Path(source).name
        original = next((k for k, (_, name) in app.env.images.items() if name == file), None)
        width = re.search(r"width: (\d+)", found[3])
        if original is None or width is None or int(width[1]) < WIDE:
            return found[0]
        picture = np.asarray(Image.open(pathlib.Path(app.srcdir, original)).convert("RGB"))
        shown = windows(picture, found[3])
        return f"{found[1]}dgm-panels {found[2]}{shown}" if shown else found[0]

    context["body"] = FIGURE.sub(marked, context["body"])


def setup(app):
    app.connect("html-page-context", stack, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
