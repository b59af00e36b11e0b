"""Let docstrings be written for people: Markdown tables, ``|x|``, ``(B, *shape)`` just work."""

import re

STRAY = re.compile(
    r"(?<![\w*\\])\*(?![*\s])(?!.*?[^\s*(]\*(?!\*))"  # a star that opens no emphasis: *shape
    r"|\|"  # bars of absolute values, which reStructuredText takes for substitutions
)


def escape(line):
    """Escape stray stars and bars outside of code."""
    parts = re.split(r"(``.+?``|`.+?`)", line)
    return "".join(
        part if i % 2 else STRAY.sub(lambda m: "\\" + m[0], part) for i, part in enumerate(parts)
    )


def table(rows):
    """A Markdown table as a reStructuredText list table."""
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", row.strip().strip("|"))] for row in rows]
    cells = [row for row in cells if not set("".join(row)) <= set("-: ")]
    lines = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in cells:
        for k, cell in enumerate(row):
            lines.append(f"   {'* -' if k == 0 else '  -'} {escape(cell)}")
    return [*lines, ""]


def spread(line):
    """``name : a whole sentence`` as a name and, below it, its description."""
    found = re.fullmatch(r"(\w[\w, *]*) : (\S+(?: \S+){4,})", line)
    return [found[1], "    " + found[2]] if found else [line]


def readable(app, what, name, obj, options, lines):
    out, rows = [], []
    for line in [*lines, ""]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            out, rows = [*out, *table(rows)], []
        out += [part if ">>>" in part else escape(part) for part in spread(line)]
    lines[:] = out


def short(app, what, name, obj, options, signature, returns):
    """``Module`` for ``~torch.nn.modules.module.Module`` where Sphinx itself gives up."""
    if signature and "<" in signature:  # a default such as <factory> is no Python
        return tuple(part and re.sub(r"~(?:\w+\.)+", "", part) for part in (signature, returns))
    return None


def setup(app):
    app.connect("autodoc-process-signature", short)
    app.connect("autodoc-process-docstring", readable, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
