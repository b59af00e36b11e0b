"""Which names a piece of code uses from outside itself, and what its imports bind.

Python's scoping rules, read from the syntax tree alone. Needs the standard library only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs)


@dataclass(frozen=True)
class Imported:
    """What an import statement binds: a module, or (``name``) something inside it."""

    module: str
    name: str | None = None
    local: str = ""

    def __str__(self) -> str:
        """The statement that binds ``local`` to it."""
        if self.name is None:
            renamed = "" if self.local == self.module.split(".")[0] else f" as {self.local}"
            return f"import {self.module}{renamed}"
        renamed = "" if self.local == self.name else f" as {self.local}"
        return f"from {self.module} import {self.name}{renamed}"


def bindings(statements: Iterable[ast.AST]) -> dict[str, Imported]:
    """Local names that import statements bind, and to what."""
    found = {}
    for node in statements:
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                local = alias.asname or alias.name
                found[local] = Imported(node.module, alias.name, local)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                found[local] = Imported(alias.name if alias.asname else local, None, local)
    return found


def own_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes below, those inside nested functions and classes left out."""
    for node in statements:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield from own_nodes(ast.iter_child_nodes(node))


def bound_names(statements: Iterable[ast.AST]) -> dict[str, Imported | None]:
    """Names that a body binds for itself; to what, where an import does it."""
    nodes = list(own_nodes(statements))
    found: dict[str, Imported | None] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] = None
        elif isinstance(node, (*NAMED, ast.MatchStar)) and node.name:
            found[node.name] = None
    found |= bindings(nodes)
    for node in nodes:
        if isinstance(node, ast.Global):
            for name in node.names:
                found.pop(name, None)
    return found


def free_names(node: ast.AST, scope: dict, inner: dict | None = None) -> Iterator[tuple]:
    """(expression, name, attributes, scope) of every name that ``node`` loads.

    ``scope`` holds the local names in sight; functions of a class do not see its names, so their
    bodies get ``inner`` instead.
    """
    inner = scope if inner is None else inner
    if isinstance(node, FUNCTIONS):
        a = node.args
        arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        outside = [*a.defaults, *filter(None, a.kw_defaults), *(x.annotation for x in arguments)]
        outside += [*getattr(node, "decorator_list", ()), getattr(node, "returns", None)]
        body = node.body if isinstance(node.body, list) else [node.body]
        for part in filter(None, outside):
            yield from free_names(part, scope)
        local = inner | dict.fromkeys(x.arg for x in arguments) | bound_names(body)
        for part in body:
            yield from free_names(part, local)
    elif isinstance(node, ast.ClassDef):
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            yield from free_names(part, scope)
        local = scope | bound_names(node.body)
        for part in node.body:
            yield from free_names(part, local, inner)
    elif isinstance(node, COMPREHENSIONS):
        local = scope | bound_names(g.target for g in node.generators)
        for part in ast.iter_child_nodes(node):
            yield from free_names(part, local, local)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _chain(node, scope)
    else:
        for part in ast.iter_child_nodes(node):
            yield from free_names(part, scope, inner)


def _chain(node: ast.expr, scope: dict) -> Iterator[tuple]:
    """The name a chain of attributes begins with; where it begins with anything else, its names."""
    attributes, base = [], node
    while isinstance(base, ast.Attribute):
        attributes.insert(0, base.attr)
        base = base.value
    if not isinstance(base, ast.Name):
        yield from free_names(base, scope)
    elif isinstance(base.ctx, ast.Load):
        yield node, base.id, attributes, scope
