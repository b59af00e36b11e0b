"""The text of a piece of code that its fingerprint is taken of: equal under every Python.

Needs the standard library only.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable


def code_of(function: Callable) -> str:
    """The syntax tree of a function as text, docstrings left out; equal under every Python."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree_text(tree)


def tree_text(node: object) -> str:
    """A syntax tree as text, the way `ast.dump` writes it on Python 3.9 to 3.11.

    `ast.dump` itself writes fields that newer grammars add (``type_params``, Python 3.12) and
    leaves empty lists out from Python 3.13 on.
    """
    if isinstance(node, list):
        return f"[{', '.join(map(tree_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        (name, getattr(node, name))
        for name in node._fields
        if name != "type_params"
        and (getattr(node, name) is not None or getattr(type(node), name, ...) is not None)
    ]
    if isinstance(node, ast.JoinedStr):
        parts = [p for p in node.values if not (isinstance(p, ast.Constant) and p.value == "")]
        fields = [("values", parts)]
    inner = ", ".join(f"{name}={tree_text(value)}" for name, value in fields)
    return f"{type(node).__name__}({inner})"
