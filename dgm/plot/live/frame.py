"""Data and a template become one piece of HTML that runs anywhere: no server, no request.

The rendered book, JupyterLab and Colab show the same; without scripts a sentence stays that says
what the figure computes.
"""

import hashlib
import json
import re
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent


def live(name: str, data: object, title: str, alt: str, **parts: str):
    """``name``.html filled in: IPython HTML whose id is a hash of its content.

    Parameters
    ----------
    name : the template's name. data : what its script reads, as JSON.
    title : shown above. alt : what the figure lets one do, read aloud as the name of the group.
    parts : texts for further places ``{{PART}}`` of the template.

    Raises
    ------
    ValueError : nothing to read aloud.
    """
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt: empty; say in words what the figure shows")
    template = (FOLDER / f"{name}.html").read_text("utf-8")
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    # what stands at the places of the template
    shared = {f: (FOLDER / f"frame.{f}").read_text("utf-8").strip() for f in ("html", "js")}
    key = hashlib.sha256(f"{template}{text}{title}{alt}{shared}{parts}".encode()).hexdigest()[:10]
    fields = {
        "KEY": key, "DATA": text, "TITLE": escape(title), "NAME": escape(alt),
        "STYLE": shared["html"], "HELPERS": shared["js"], **parts,
    }  # fmt: skip
    return HTML(re.sub(r"\{\{(\w+)\}\}", lambda m: fields[m[1]], template))
