"""What a definition of the package reaches: its own code, and all that this code uses, as text.

Read from syntax trees alone, nothing is imported, so the answer is the same under every Python.
Names are followed through imports (also those inside functions), attributes of modules, bases,
decorators, defaults and annotations (scope.py); what is looked up at run time, as text, is not
seen. It serves the fingerprints of weights, `dgm.copy` and the list of files of a system. Needs the
standard library only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dgm.scope import Imported, bindings, bound_names, free_names, own_nodes

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True, eq=False)
class Definition:
    """One statement at the top of a module: a function, a class, a constant."""

    module: str
    name: str
    file: str  # below the package, "flow/coupling.py"
    node: ast.stmt
    text: str  # its lines, with the comments right above them
    place: int  # which statement of its module


@dataclass(frozen=True)
class Use:
    """A name or a chain of attributes in a definition, and what it stands for."""

    node: ast.expr
    target: Imported  # of the package: module and name of the definition; else as imported


class Package:
    """The modules below a folder, read when they are needed.

    Parameters
    ----------
    root : folder of the package, whose name it carries; a copy of it will do.
    """

    def __init__(self, root: Path = ROOT):
        self.root, self.name = Path(root), Path(root).name
        self._uses = lru_cache(maxsize=None)(self._find_uses)
        self._module = lru_cache(maxsize=None)(self._read)

    def file(self, module: str) -> Path | None:
        """Where a module of the package is written; None for any other."""
        top, *parts = module.split(".")
        path = self.root.joinpath(*parts)
        found = [path / "__init__.py", path.with_name(f"{path.name}.py")]
        return next((f for f in found if top == self.name and f.is_file()), None)

    def _read(self, module: str) -> tuple[dict[str, list[Definition]], dict[str, Imported]]:
        """Definitions of a module by name, and what its imports bind."""
        file = self.file(module)
        text = file.read_text(encoding="utf-8")
        lines, definitions = text.splitlines(keepends=True), {}
        body = ast.parse(text).body
        for place, node in enumerate(body):
            names = [name for name, imported in bound_names([node]).items() if not imported]
            if not names:
                continue
            first = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
            while (
                first > 1 and lines[first - 2].startswith("#") and "# ---" not in lines[first - 2]
            ):
                first -= 1
            where = file.relative_to(self.root).as_posix()
            shown = "".join(lines[first - 1 : node.end_lineno])
            made = Definition(module, names[0], where, node, shown, place)
            for name in names:
                definitions.setdefault(name, []).append(made)
        return definitions, bindings(own_nodes(body))

    def resolve(self, found: Imported) -> Imported:
        """Follow re-exports: the module that defines a name, or a module (``name`` None)."""
        while found.name is not None and self.file(found.module):
            definitions, imports = self._module(found.module)
            inside = f"{found.module}.{found.name}"
            bound = imports.get(found.name)
            itself = bound is not None and (bound.module, bound.name) == (found.module, found.name)
            if found.name in definitions:
                break
            if bound is not None and not itself:
                found = bound
            elif self.file(inside):
                found = Imported(inside, None, found.local)
            else:
                break
        return found

    def _find_uses(self, definition: Definition) -> tuple[Use, ...]:
        own, imports = self._module(definition.module)
        uses = []
        for node, name, attributes, scope in free_names(definition.node, {}):
            target = scope[name] if name in scope else imports.get(name)
            if target is None and name not in scope and name in own:
                target = Imported(definition.module, name, name)
            if target is None:
                continue
            target, rest = self.resolve(target), list(attributes)
            while target.name is None and self.file(target.module) and rest:
                target = self.resolve(Imported(target.module, rest.pop(0)))
            for _ in rest:  # the part of the chain that was not followed
                node = node.value
            in_function = name in scope and not self.file(target.module)  # the text imports it
            if not in_function:
                uses.append(Use(node, target))
        return tuple(uses)

    def uses(self, definition: Definition) -> tuple[Use, ...]:
        """What a definition uses of its package, and of the imports at the top of its module."""
        return self._uses(definition)

    def definitions(self, module: str, name: str | None = None) -> list[Definition]:
        """The statements that define ``name`` in a module, or all of the module."""
        if self.file(module) is None:
            return []
        own = self._module(module)[0]
        if name is not None:
            return own.get(name, [])
        return list(dict.fromkeys(d for found in own.values() for d in found))

    def start(self, module: str, name: str) -> list[Definition]:
        """The definitions to begin with; a name that is not there is a ValueError."""
        found = self.resolve(Imported(module, name))
        definitions = self.definitions(found.module, found.name)
        if not definitions:
            raise ValueError(f"{module} defines no {name!r}")
        return definitions

    def reach(
        self, starts: Iterable[tuple[str, str]], follow: Callable[[str, str | None], bool] = bool
    ) -> list[Definition]:
        """All that (module, name) pairs reach, themselves included, dependencies first.

        Parameters
        ----------
        starts : what to begin with.
        follow : ``follow(module, name)`` says whether to go there; everywhere when left out.

        Raises
        ------
        ValueError
            A start is not defined in its module.
        """
        everywhere = follow is bool
        found: dict[Definition, list[Definition]] = {}
        waiting = [d for start in starts for d in self.start(*start)]
        while waiting:
            definition = waiting.pop()
            if definition in found:
                continue
            found[definition] = [
                other
                for use in self.uses(definition)
                if everywhere or follow(use.target.module, use.target.name)
                for other in self.definitions(use.target.module, use.target.name)
            ]
            waiting += found[definition]
        return _in_reading_order(found)


def _in_reading_order(found: dict[Definition, list[Definition]]) -> list[Definition]:
    """Modules after those they use, and each from top to bottom."""
    # which module waits for which
    modules: dict[str, set[str]] = {}
    for definition, others in found.items():
        modules.setdefault(definition.module, set()).update(d.module for d in others)
    # after all it waits for; should two wait for each other, in the order of their names
    order: dict[str, None] = {}

    def visit(module: str, above: frozenset[str]) -> None:
        for other in sorted(modules[module] - above):
            if other not in order:
                visit(other, above | {other})
        order.setdefault(module)

    for module in sorted(modules):
        if module not in order:
            visit(module, frozenset({module}))
    rank = {module: i for i, module in enumerate(order)}
    return sorted(found, key=lambda d: (rank[d.module], d.place))


DGM = Package()  # this one
