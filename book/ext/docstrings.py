"""Let docstrings be written for people: Markdown tables, ``|x|``, ``(B, *shape)`` just work."""

import re

STRAY = re.compile(
    r"(?<![\w*\\])\*(?![*\s])(?!.*?[^\s*(]\*(?!\*))"  # a star that opens no emphasis: *shape
    r"|\|"  # bars of absolute values, which reStructuredText takes for substitutions
)
ARXIV, LINK = re.compile(r"\barXiv:(\d{4}\.\d{4,5})"), r"`arXiv:\1 <https://arxiv.org/abs/\1>`__"


def escape(line):
    """Escape stray stars and bars outside of code, and link numbers of arXiv."""
    parts = re.split(r"(``.+?``|`.+?`)", line)
    parts[::2] = [STRAY.sub(lambda m: "\\" + m[0], part) for part in parts[::2]]
    parts[::2] = [
        ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", part) for part in parts[::2]
    ]
    return "".join(parts)


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
    """``a : one thing. b : another.`` as entries of their own, each a name with its text below."""
    parts = re.split(r"(?<=[.;]) (?=[a-z_]\w* : )", line)
    out = []
    for part in parts if re.match(r"\w[\w, *]* : ", line) else [line]:
        found = re.fullmatch(r"(\w[\w, *]*) : (.+)", part)
        long = found and (len(parts) > 1 or len(found[2].split()) > 4)
        out += [found[1], "    " + found[2]] if long else [part]
    return out


def with_examples(lines):
    """Give examples that follow another section their heading, or they would belong to it."""
    section = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        section = line if re.fullmatch("-{3,}", after) else section
        if line.startswith(">>>") and section not in ("", "Examples"):
            yield from ("Examples", "--------")
            section = "Examples"
        yield line


def readable(app, what, name, obj, options, lines):
    out, rows = [], []
    for line in with_examples([*lines, ""]):
        if line.startswith("|") and line.rstrip().endswith("|"):  # |A| may begin a sentence
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
