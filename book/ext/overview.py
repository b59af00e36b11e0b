"""Fill the line ``% rooms NAME ...`` of a page: what every room of the package holds, and where."""

import ast
import pathlib
import re


def homes(root):
    """package -> the page of the reference that shows it."""
    found = {}
    for page in sorted(root.glob("book/api_*.md")):
        for names in re.findall(r"^% live: reference (.+)$", page.read_text("utf-8"), re.M):
            found |= dict.fromkeys(names.split(), page.stem)
    return found


def first_sentence(root, package):
    """How a package or module says in its first line what it is."""
    folder = root / "dgm" / package
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))).split("\n\n")[0]
    return re.sub(r"\s+", " ", text)


def fill(app, docname, source):
    root = pathlib.Path(app.srcdir)

    def table(found):
        rows = ["| room | what it holds |", "|---|---|"]
        for name in found[1].split():
            link = f'<a href="{homes(root)[name]}.html#module-dgm.{name}"><code>{name}</code></a>'
            rows.append(f"| {link} | {first_sentence(root, name)} |")
        return "\n".join(rows)

    source[0] = re.sub(r"^% rooms (.+)$", table, source[0], flags=re.M)


def setup(app):
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
