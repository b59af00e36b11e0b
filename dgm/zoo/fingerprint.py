"""Two hashes of what made trained weights, equal under every Python; they ignore comments.

The *recipe*: sizes, settings, data options and seeds, and what the builder and the training reach
in the zoo modules; weights of another recipe are refused. The *code*: everything else of dgm that
they reach (model classes, networks, `fit`, the loader of the data); weights of other code are
loaded, and scored again by the tests. Needs the standard library only.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from dgm.source import DGM, Definition, Package

DATA_SETS = ("dgm.data", "_SETS")  # the table behind data.load


def recipe_hash(entry: Any, data_name: str, package: Package = DGM) -> str:
    """16 hex digits of one recipe of an entry, see above.

    ``package`` is where the code is read; its data come from the entry.
    """
    recipe = entry.recipes[data_name]
    reached = package.reach(_starts(entry, recipe, in_zoo=True), _in_zoo)
    settings = dict(sizes=recipe.sizes, fit=recipe.fit, data=recipe.data, seeds=recipe.seeds)
    settings["train"] = recipe.train
    return _hash([value_text(settings), *map(definition_text, reached)])


def code_hash(entry: Any, data_name: str, package: Package = DGM) -> str:
    """16 hex digits of the code that one recipe of an entry reaches outside the zoo modules.

    Of the data sets it is the loader of this one alone.
    """
    recipe = entry.recipes[data_name]
    starts = [*_starts(entry, recipe), _loader(package, recipe.of or data_name)]
    starts.append(("dgm.runtime", "seed"))
    reached = package.reach(starts, lambda module, name: (module, name) != DATA_SETS)
    return _hash([definition_text(d) for d in reached if not _in_zoo(d.module)])


def _loader(package: Package, data_name: str) -> tuple[str, str]:
    """Module and name of the function behind ``data.load(data_name)``."""
    (table,) = package.start(*DATA_SETS)
    return f"dgm.data.{ast.literal_eval(table.node.value)[data_name]}", data_name


def _in_zoo(module: str, name: str | None = None) -> bool:
    """Whether a module is one of the zoo's chapters; how weights are stored is no recipe."""
    return module.startswith("dgm.zoo.") and module not in ("dgm.zoo.entry", "dgm.zoo.weights")


def _starts(entry: Any, recipe: Any, in_zoo: bool = False) -> list[tuple[str, str]]:
    """(module, name) of the builder, the training, and functions of dgm among the settings."""
    values = (entry.build, recipe.train, recipe.sizes, recipe.fit, recipe.data)
    found = {(f.__module__, f.__qualname__.split(".")[0]) for f in _callables(values)}
    found = {pair for pair in found if pair[0].split(".")[0] == "dgm"}
    return sorted(pair for pair in found if not in_zoo or _in_zoo(pair[0]))


def _callables(value: object) -> Iterator[Callable]:
    """Functions and classes in a value, also those inside its parts."""
    inside: list = []
    if hasattr(value, "__qualname__"):
        yield value
    elif isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, functools.partial):
        inside = [value.func, value.args, value.keywords]
    elif isinstance(value, list | tuple | set):
        inside = list(value)
    elif type(value).__module__.startswith("dgm."):
        inside = [type(value), vars(value)]
    for part in inside:
        yield from _callables(part)


def value_text(value: object) -> str:
    """A setting as text: numbers and words as they are, functions and classes by their names.

    Raises
    ------
    ValueError
        A lambda, or a function inside another: it has no name to be found by.
    """
    if isinstance(value, dict):
        pairs = sorted((str(key), value_text(inside)) for key, inside in value.items())
        return f"{{{', '.join(f'{key}: {inside}' for key, inside in pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, functools.partial):
        return f"partial({value_text([value.func, value.args, value.keywords])})"
    if hasattr(value, "__qualname__"):
        if "<" in value.__qualname__:
            raise ValueError(f"a setting of a recipe needs a name, got {value.__qualname__}")
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__module__.startswith("dgm."):
        return f"{value_text(type(value))}({value_text(vars(value))})"
    return repr(value)


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def definition_text(definition: Definition) -> str:
    """The syntax tree of a definition as text, docstrings left out."""
    return tree_text(definition.node, docstrings=False)


def tree_text(node: object, docstrings: bool = True) -> str:
    """A syntax tree as text, the way `ast.dump` writes it on Python 3.9 to 3.11.

    `ast.dump` itself writes fields that newer grammars add (``type_params``, Python 3.12) and
    leaves empty lists out from Python 3.13 on.
    """
    if isinstance(node, list):
        return f"[{', '.join(tree_text(part, docstrings) for part in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    # what Python 3.9 to 3.11 would write: optional fields only where they hold something
    fields = {
        name: getattr(node, name)
        for name in node._fields
        if name != "type_params"
        and (getattr(node, name) is not None or getattr(type(node), name, ...) is not None)
    }
    if isinstance(node, ast.JoinedStr):
        empty = lambda part: isinstance(part, ast.Constant) and part.value == ""  # noqa: E731
        fields = {"values": [part for part in node.values if not empty(part)]}
    # the words about it are no part of it
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if not docstrings and isinstance(node, documented) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:] or [ast.Pass()]
    inner = ", ".join(f"{name}={tree_text(value, docstrings)}" for name, value in fields.items())
    return f"{type(node).__name__}({inner})"
