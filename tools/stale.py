"""What a chapter's outputs rest on, and whether that has changed since they were made.

`notebooks/executed.json` holds for each chapter hashes of four things:

code    the source of its code cells
files   every file of `dgm/` it loaded: of a module the syntax tree without docstrings and
        comments, equal under every Python; of weights and tables the bytes
shown   every listing that the page shows (`plot.source`): the lines as they are written
looks   the files among those it loaded that change how a page looks and no number: `LOOKS`

Most files are loaded by most chapters, so under "files" stands each file with its hash once, and
the numbers of the chapters that saw it so.

A chapter is *stale* when one of the first three differs, *dated* when only the last does.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORD = ROOT / "notebooks/executed.json"
LOOKS = ("dgm/plot/", "dgm/results/")


def load(name):
    """A module of `dgm` that needs the standard library only, without the package around it."""
    sys.path.insert(0, str(ROOT))
    try:
        spec = importlib.util.spec_from_file_location(pathlib.Path(name).stem, ROOT / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT))
    return module


@functools.cache
def fingerprint():
    return load("dgm/zoo/fingerprint.py")


def digest(text):
    data = text if isinstance(text, bytes) else text.encode()
    return hashlib.sha256(data).hexdigest()[:12]


def code_hash(nb):
    return digest("\n\0".join(c.source for c in nb.cells if c.cell_type == "code"))


@functools.cache
def _file_hash(path, stamp):
    data = pathlib.Path(path).read_bytes()
    if not path.endswith(".py"):
        return digest(data)
    return digest(fingerprint().tree_text(ast.parse(data), docstrings=False))


def file_hash(name):
    """Hash of what a file of the repository does; None where it is gone."""
    path = ROOT / name
    if not path.is_file():
        return None
    return _file_hash(str(path), path.stat().st_mtime_ns)


def shown_hash(listing):
    """Hash of one listing as it is written, "dgm/flow/flow.py Flow.log_prob"; None where gone."""
    name, _, words = listing.partition(" ")
    path = ROOT / name
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text)
    for word in words.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [n for n in node.body if isinstance(n, kinds) and n.name == word]
        if not found:
            return None
        node = found[-1]  # the last of several is the one that runs
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return digest("\n".join(text.split("\n")[first - 1 : node.end_lineno]))


def describe(nb, files, shown):
    """The entry of a chapter that has just run and loaded these files, by path from the root."""
    looks = {name for name in files if name.startswith(LOOKS)}
    return {
        "code": code_hash(nb),
        "files": {name: file_hash(name) for name in sorted(set(files) - looks)},
        "shown": {listing: shown_hash(listing) for listing in sorted(shown)},
        "looks": {name: file_hash(name) for name in sorted(looks)},
    }


def _number(stem):
    return stem.partition("_")[0]


def record():
    """All entries: stem of a chapter to its hashes."""
    if not RECORD.exists():
        return {}
    held = json.loads(RECORD.read_text(encoding="utf-8"))
    shared, entries = held["files"], held["chapters"]
    for entry in entries.values():
        entry["files"] = {}
    by_number = {_number(stem): entry for stem, entry in entries.items()}
    for name, numbers in shared.items():
        file, of = name.rsplit(" ", 1)
        for number in numbers.split():
            by_number[number]["files"][file] = of
    return entries


def packed(entries):
    """The text of the record of ``entries``, as `record` reads it."""
    shared, chapters = {}, {}
    for stem, entry in sorted(entries.items()):
        chapters[stem] = {key: value for key, value in entry.items() if key != "files"}
        for file, of in entry["files"].items():
            shared.setdefault(f"{file} {of}", []).append(_number(stem))
    shared = {name: " ".join(shared[name]) for name in sorted(shared)}
    return json.dumps({"chapters": chapters, "files": shared}, indent=1) + "\n"


def _moved(made, current):
    return ", ".join(sorted(key for key, old in made.items() if current(key) != old))


def why_stale(stem, nb, made=None):
    """One line saying what changed that outputs rest on, or None when nothing did."""
    made = made or record().get(stem)
    if not made:
        return "never executed by make notebooks"
    if made["code"] != code_hash(nb):
        return "its code changed"
    moved = _moved(made["files"], file_hash)
    if moved:
        return f"changed since: {moved}"
    moved = _moved(made["shown"], shown_hash)
    return f"shows what changed since: {moved}" if moved else None


def why_dated(stem, made=None):
    """One line saying which files changed that only looks rest on, or None."""
    made = made or record().get(stem) or {"looks": {}}
    moved = _moved(made["looks"], file_hash)
    return f"looks changed since: {moved}" if moved else None
