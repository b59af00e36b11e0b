"""Send the few icons that pages use, out of the theme's fonts of 1,800 and their style sheet."""

import logging
import pathlib
import re

from fontTools import subset

logging.getLogger("fontTools").setLevel(logging.WARNING)

RULE = re.compile(r"((?:\.fa-[\w-]+:before,?)+)\{content:\"\\([0-9a-f]+)\"\}")


def names_used(root):
    """Every ``fa-...`` that a page or a script of the theme names."""
    files = [*root.rglob("*.html"), *root.glob("_static/scripts/*.js"), *root.glob("_static/*.js")]
    return {n for f in files for n in re.findall(r"fa-[a-z][\w-]*", f.read_text(encoding="utf-8"))}


def points_drawn(root):
    """Characters that other style sheets take from these fonts."""
    sheets = [f for f in root.rglob("*.css") if f.name != "all.min.css"]
    found = (re.findall(r'content:\s*"\\(f[0-9a-f]{3})', f.read_text("utf-8")) for f in sheets)
    return {int(point, 16) for points in found for point in points}


def shrink(app, exception):
    """Rewrite style sheet and fonts in place, with the icons used; drop the icons' script."""
    if exception is not None or app.builder.format != "html":
        return
    root = pathlib.Path(app.outdir)
    used, drawn = names_used(root), points_drawn(root)
    for sheet in root.glob("_static/vendor/fontawesome/*/css/all.min.css"):
        points = set(drawn)

        def kept(found, points=points):
            if not used & set(re.findall(r"fa-[\w-]+", found[1])):
                return ""
            points.add(int(found[2], 16))
            return found[0]

        css = RULE.sub(kept, sheet.read_text(encoding="utf-8"))
        for font in sorted(sheet.parent.parent.glob("webfonts/*.ttf")):
            options = subset.Options(flavor="woff", notdef_outline=True)
            loaded = subset.load_font(font, options)
            shrunk = subset.Subsetter(options)
            shrunk.populate(unicodes=points)
            shrunk.subset(loaded)
            subset.save_font(loaded, font.with_suffix(".woff"), options)
            font.unlink()
            font.with_suffix(".woff2").unlink(missing_ok=True)
            css = css.replace(f"{font.stem}.ttf", f"{font.stem}.woff").replace("truetype", "woff")
        css = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),?', "", css)
        sheet.write_text(css, encoding="utf-8")
    drop_loads(root)


def drop_loads(root):
    """Pages load the icons no second time, as a script of 1.5 MB, and ask for no old font."""
    load = re.compile(
        r'(<script [^>]*fontawesome[^>]*></script>|<link rel="preload"[^>]*fontawesome[^>]*>)\s*'
    )
    for page in root.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(load.sub("", text), encoding="utf-8")
    for path in root.glob("_static/vendor/fontawesome/*/js/*"):
        path.unlink()


def setup(app):
    app.connect("build-finished", shrink, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
