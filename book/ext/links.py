"""Let links in HTML outputs, and to places in them, work in the site as they do in JupyterLab.

A sentence links to the row of its claim, ``[✓](#claim-inverse)``, which an output of the chapter
holds. A notebook's raw HTML says ``13_coupling_flows.ipynb`` and ``../dgm/flow/flow.py``. In the
site the first is a page, the second the highlighted source that viewcode makes, or the
repository's.
"""

import posixpath
import re

from docutils import nodes
from sphinx.transforms import SphinxTransform


class LinkClaims(SphinxTransform):
    """Leave links to claims as they are: MyST would look for a heading and warn of none."""

    default_priority = 800  # before MyST resolves links of this kind

    def apply(self, **options):
        for node in self.document.findall(nodes.reference):
            if node.get("refuri", "").startswith("#claim-"):
                node.attributes.pop("id_link", None)
                node["internal"] = True


def rewrite(app, pagename, template, context, doctree):
    """Rewrite relative links to chapters and to the package's code in the page's body."""
    if "body" in context:
        context["body"] = re.sub(
            r'href="(?![a-z]+:)([^"#?]+\.(?:ipynb|py))(#[^"]*)?"',
            lambda m: f'href="{address(app, pagename, m[1])}{m[2] or ""}"',
            context["body"],
        )


def address(app, pagename, link):
    """Where a link of this page leads in the site; unchanged if it is not ours."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(pagename), link))
    name = path.rsplit(".", 1)[0]
    if path.endswith(".ipynb") and name in app.env.found_docs:
        return app.builder.get_relative_uri(pagename, name)
    if path.startswith("dgm/") and path.endswith(".py"):
        if getattr(app.env, "_viewcode_modules", {}).get(name.replace("/", ".")):
            return app.builder.get_relative_uri(pagename, f"_modules/{name}")
        options = app.config.html_theme_options
        branch = options.get("repository_branch") or "main"
        return f"{options['repository_url']}/blob/{branch}/{path}"
    return link


def setup(app):
    app.add_transform(LinkClaims)
    app.connect("html-page-context", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
