"""A whole system as one file that needs torch only: ``python -m dgm.copy glow > glow.py``.

Layers, networks, base and the builder that puts them together, in reading order, with their
docstrings and sources: all that the builder reaches (source.py). With ``--weights glow.pt`` the
trained weights are written there too, and the example at the end of the file loads them.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable
from typing import Any

from dgm import zoo
from dgm.distribution.support import Levels
from dgm.scope import Imported
from dgm.source import DGM, Definition, Package

NOTICE = """\
# MIT License. Copyright (c) 2026 The dgm authors. Permission is granted, free of charge, to use,
# copy, change and sell this file; this notice stays with it. Provided as is, without any warranty.
"""


def system(name: str, data_name: str | None = None, weights: str | None = None) -> str:
    """The text of one file that builds the system ``name`` of the zoo.

    Parameters
    ----------
    name : as `zoo.get` knows it.
    data_name : the example at the end builds the model of this recipe; a small one without.
    weights : the example loads this file, written by `export_weights`.

    Raises
    ------
    ValueError
        The name is unknown (with the nearest ones), or there is no such recipe.
    """
    entry = zoo.get(name)
    kind = ("dgm.distribution.support", type(entry.tiny.data).__name__)
    body = together(DGM, DGM.reach([(entry.build.__module__, name), kind]))
    paper, url = entry.source
    return (
        f'{NOTICE}"""{entry.title}: {paper}, {url}\n\nOne file that needs torch only, made by '
        f'`python -m dgm.copy {name}`.\n"""\n\n{body}{_example(entry, data_name, weights)}'
    )


def together(package: Package, definitions: list[Definition]) -> str:
    """Definitions of several files as one module: imports, then each file's part under its words.

    Raises
    ------
    ValueError
        Two of them share a name, or a name is imported from two places.
    """
    # every name means one thing
    imports = {"torch": Imported("torch", None, "torch")}
    files = {definition.name: definition.file for definition in definitions}
    for definition in definitions:
        if files[definition.name] != definition.file:
            both = f"{definition.file} and {files[definition.name]}"
            raise ValueError(f"{definition.name} is defined in {both}")
        for target in (use.target for use in package.uses(definition)):
            if package.file(target.module):
                continue
            known = imports.setdefault(target.local, target)
            if target.local in files or known != target:
                raise ValueError(f"{target.local} means two things: see {definition.file}")
    # imports, then the files one after the other
    parts, file = ["from __future__ import annotations\n\n", import_lines(imports.values())], ""
    for definition in definitions:
        if definition.file != file:
            file = definition.file
            parts.append(_heading(package, definition))
        parts.append(rewritten(package, definition).strip("\n") + "\n\n\n")
    return "".join(parts)


def import_lines(imports: Iterable[Imported]) -> str:
    """Import statements, those of the standard library first, names of one module together."""
    plain, within = set(), {}
    for imported in imports:
        if imported.name is None:
            plain.add((imported.module, str(imported)))
        else:
            within.setdefault(imported.module, set()).add(str(imported).split(" import ")[1])
    lines = sorted(plain) + sorted(
        (module, f"from {module} import {', '.join(sorted(names))}")
        for module, names in within.items()
    )
    here = [line for module, line in lines if module.split(".")[0] in sys.stdlib_module_names]
    there = [line for module, line in lines if module.split(".")[0] not in sys.stdlib_module_names]
    return "\n".join([*here, *([""] if here else []), *there]) + "\n"


def _heading(package: Package, definition: Definition) -> str:
    """A line with the file's name, and the file's docstring as a comment."""
    tree = ast.parse(package.file(definition.module).read_text(encoding="utf-8"))
    said = (ast.get_docstring(tree) or "").splitlines()
    line = f"# --- {package.name}/{definition.file} "
    comment = "".join(f"# {words}".rstrip() + "\n" for words in said)
    return f"\n{line.ljust(100, '-')}\n#\n{comment}\n\n"


def rewritten(package: Package, definition: Definition) -> str:
    """The text of a definition with the names it has in one file: no module before them.

    Raises
    ------
    ValueError
        A module of the package is used as a whole, or in a way that cannot be rewritten.
    """
    lines = definition.text.encode().splitlines(keepends=True)  # syntax trees count bytes
    first = definition.node.end_lineno - len(lines) + 1
    edits = []
    for use in package.uses(definition):
        written, name = ast.unparse(use.node), use.target.name
        if package.file(use.target.module) and written != name:
            row = lines[use.node.lineno - first]
            found = row[use.node.col_offset : use.node.end_col_offset].decode()
            if name is None or found != written:
                raise ValueError(f"{definition.file}: {written} has no name in one file")
            edits.append((use.node, name))
    for part in ast.walk(definition.node):  # imports inside functions
        if isinstance(part, ast.ImportFrom | ast.Import):
            modules = getattr(part, "module", None) or part.names[0].name
            edits += [(part, "")] if modules.split(".")[0] == package.name else []
    for part, new in sorted(edits, key=lambda e: (-e[0].lineno, -e[0].col_offset)):
        start, end = part.lineno - first, part.end_lineno - first
        before, after = lines[start][: part.col_offset], lines[end][part.end_col_offset :]
        whole = before + new.encode() + after
        lines[start : end + 1] = [whole] if whole.strip() else []
    return b"".join(lines).decode()


def _example(entry: zoo.Entry, data_name: str | None, weights: str | None) -> str:
    """What runs when the file does: build, one loss, one draw."""
    kind, sizes = entry.tiny.data, entry.tiny.sizes
    if data_name is not None:
        from dgm import data

        sizes = _recipe(entry, data_name).sizes
        kind = data.kind(entry.data_of(data_name))
    # every setting as Python writes it
    model = entry.small()[0]
    integers, labels = isinstance(kind, Levels), getattr(model, "condition", None)
    shown = f"Levels({kind.shape}, {kind.levels})" if integers else f"Reals({kind.shape})"
    arguments = ", ".join(["data", *(f"{key}={value!r}" for key, value in sizes.items())])
    size = (16, *kind.shape)
    x = f"torch.randint({kind.levels}, {size})" if integers else f"torch.randn({size})"
    # the lines a reader would begin with
    lines = ["torch.manual_seed(0)", f"data = {shown}", f"model = {entry.name}({arguments})"]
    if weights is not None:
        lines.append(f"model.load_state_dict(torch.load({weights!r}, weights_only=True))")
        lines.append("model.eval()")
    lines.append(f"x = {x}  # yours")
    if labels is not None:
        lines.append(f"y = torch.randint({labels.levels}, {(16, *labels.shape)})")
    lines.append(f'print("loss:", model.loss(x{", y" if labels else ""}).mean().item())')
    if hasattr(model, "sample"):
        lines.append('print("draws:", model.sample(2).shape)')
    return 'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in lines)


def _recipe(entry: zoo.Entry, data_name: str | None) -> Any:
    if data_name not in entry.recipes:
        known = ", ".join(entry.recipes) or "none"
        raise ValueError(f"{entry.name!r} has no recipe for {data_name!r}; only for: {known}")
    return entry.recipes[data_name]


def export_weights(name: str, data_name: str, file: str) -> None:
    """Write the trained weights, so that ``torch.load(file, weights_only=True)`` reads them."""
    import torch

    torch.save(zoo.load(name, data_name).state_dict(), file)


def main(arguments: list[str] | None = None) -> None:
    """Write the file to standard output, and the weights where they are asked for."""
    parser = argparse.ArgumentParser(prog="dgm.copy", description=__doc__)
    parser.add_argument("name", help="a system of the zoo, such as glow")
    parser.add_argument("--data", help="build it as its recipe for this data set does")
    parser.add_argument(
        "--weights", help="write the trained weights to this file (default: digits)"
    )
    asked = parser.parse_args(arguments)
    data_name = asked.data or ("digits" if asked.weights else None)
    try:
        text = system(asked.name, data_name, asked.weights)
        if asked.weights:
            export_weights(asked.name, data_name, asked.weights)
    except ValueError as error:
        sys.exit(str(error))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
