"""Keep the pictures of figures that move out of the page: files, loaded when the figure is used.

In a notebook such a figure carries its frames as base64, so that it works alone. In the site that
is half of a chapter's weight, and all of it before the first line is read.
"""

import base64
import hashlib
import pathlib
import re

from sphinx.util.osutil import relative_uri

FRAME = re.compile(r"data:image/(webp|png|jpeg);base64,([A-Za-z0-9+/]{400,}=*)")
PLANE = re.compile(r'(<div class="dgm-plane"(?:(?!<img ).)*<img )loading="lazy" ', re.S)
PICTURE = re.compile(r'<img (?![^>]*\bloading=)(?=[^>]*\bsrc="[^"]*_images/)')


def move_frames(app, pagename, template, context, doctree):
    """Write the frames of this page as files, and let pictures further down wait for the reader."""
    if "body" not in context or app.builder.format != "html":
        return
    folder = pathlib.Path(app.outdir, "_images")
    folder.mkdir(parents=True, exist_ok=True)

    def moved(found):
        data = base64.b64decode(found[2])
        name = f"frame-{hashlib.sha256(data).hexdigest()[:16]}.{found[1]}"
        (folder / name).write_bytes(data)
        return relative_uri(app.builder.get_target_uri(pagename), f"_images/{name}")

    body = PICTURE.sub('<img loading="lazy" ', FRAME.sub(moved, context["body"]))
    context["body"] = PLANE.sub(r"\1", body)  # an atlas is never seen, so it would never load


def setup(app):
    app.connect("html-page-context", move_frames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
