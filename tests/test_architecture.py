"""The shape of `dgm`: floors, the copy contract, names, sizes, docstrings."""

import ast
import collections
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import dgm

ROOT = Path(dgm.__file__).parent
MIDDLE = {"audit", "data", "nets", "plot", "results", "train"}  # and files directly in dgm/
TOP = {"zoo"}
GROUND = sorted(
    d.name
    for d in ROOT.iterdir()
    if d.is_dir() and (d / "__init__.py").exists() and d.name not in MIDDLE | TOP
)
FRONT_DOORS = {f"{d}/__init__.py" for d in ("audit", "data", "plot", "results", "train", "zoo")}
SUBJECTS = {"torchdiffeq", "constriction", "scipy", "sklearn"}
FRONT_NAMES = {"load"}  # `data.load`, `zoo.load` and `results.load`: the front doors' own word
VAGUE = {"utils", "util", "misc", "common", "helpers", "helper"}

FILES = {str(p.relative_to(ROOT)): p for p in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
GROUND_FILES = [n for n in FILES if n.split("/")[0] in GROUND and not n.endswith("__init__.py")]


def imported(tree):
    """Modules a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module
            if node.module.split(".")[0] == "dgm":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name):
    """Files of dgm that a file imports."""
    for module in imported(TREES[name]):
        parts = module.split(".")
        if parts[0] == "dgm":
            stem = "/".join(parts[1:])
            for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
                if candidate in FILES and candidate != name:
                    yield candidate


def definitions(tree):
    """All functions and classes, with methods."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def functions():
    """(file, function) for all of dgm."""
    for name, tree in TREES.items():
        for node in definitions(tree):
            if not isinstance(node, ast.ClassDef):
                yield name, node


def floor(name):
    """0 ground, 1 middle, 2 top."""
    folder = name.split("/")[0]
    return 2 if folder in TOP else 0 if folder in GROUND else 1


# --- the copy contract ----------------------------------------------------------------------------

ALONE = """
import json, os, runpy, sys, traceback

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "dgm":
            raise ModuleNotFoundError("dgm is out of reach")

sys.meta_path.insert(0, Refuse())
try:
    import dgm
    sys.exit("dgm could be imported: the test proves nothing")
except ModuleNotFoundError:
    pass
failures = {}
for folder in sorted(os.listdir(".")):
    os.chdir(folder)
    (file,) = os.listdir(".")
    try:
        runpy.run_path(file, run_name="copied")
    except BaseException:
        failures[folder] = traceback.format_exc(limit=-1)
    os.chdir("..")
print(json.dumps(failures))
"""


def run_alone(folder):
    """Execute every file, each alone in its folder, in a fresh interpreter without dgm."""
    command = [sys.executable, "-I", "-c", ALONE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_ground_file_runs_alone_without_dgm(tmp_path):
    for name in GROUND_FILES:
        alone = tmp_path / name.replace("/", "--")
        alone.mkdir()
        shutil.copy(FILES[name], alone / Path(name).name)
    assert run_alone(tmp_path) == {}


def test_running_alone_notices_an_import_of_dgm_and_of_a_sibling(tmp_path):
    for i, line in enumerate(("from dgm.flow import flow", "import coupling", "import math")):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "copied.py").write_text(line)
    assert sorted(run_alone(tmp_path)) == ["0", "1"]


@pytest.mark.parametrize("name", GROUND_FILES)
def test_ground_file_imports_torch_and_one_subject_package(name):
    packages = {module.split(".")[0] for module in imported(TREES[name])}
    foreign = packages - sys.stdlib_module_names - {"torch"}
    assert foreign <= SUBJECTS
    assert len(foreign) <= 1


@pytest.mark.parametrize("name", GROUND_FILES)
def test_ground_file_opens_with_a_sentence_a_source_and_its_needs(name):
    text = ast.get_docstring(TREES[name]) or ""
    assert text.split("\n")[0].endswith("."), "the first line is one sentence"
    assert "Needs torch" in text
    assert len(text.split()) >= 12, "no source"


# --- floors and names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_imports_point_down(name):
    for other in inside(name):
        if floor(name) == 0:
            pytest.fail(f"{name} imports {other}: the ground floor imports nothing of dgm")
        assert floor(other) <= floor(name), f"{name} imports {other}, a floor above"
        assert not (floor(name) == 1 and floor(other) == 0), f"{name} imports {other}"


def test_no_circles():
    waits = {name: {o for o in inside(name) if not o.endswith("__init__.py")} for name in FILES}
    while ready := [n for n, needs in waits.items() if not needs & waits.keys()]:
        for name in ready:
            del waits[name]
    assert not waits, f"circle among {sorted(waits)}"


@pytest.mark.parametrize("name", [n for n in FILES if n.endswith("__init__.py")])
def test_init_is_a_docstring(name):
    assert ast.get_docstring(TREES[name])
    if name not in FRONT_DOORS:
        assert len(TREES[name].body) == 1


def test_no_name_is_defined_twice():
    places = collections.defaultdict(list)
    for name, tree in TREES.items():
        for node in tree.body:
            is_definition = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if is_definition and not node.name.startswith("_"):
                places[node.name].append(name)
    twice = {k: v for k, v in places.items() if len(v) > 1 and k not in FRONT_NAMES}
    assert not twice


def test_no_two_definitions_are_equal():
    places = collections.defaultdict(list)
    for name, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        text = "\n".join(ast.dump(part) for part in body)
        if sum(1 for part in body for _ in ast.walk(part)) > 40:  # longer than an idiom
            places[ast.dump(node.args) + text].append(f"{name}:{node.name}")
    assert [v for v in places.values() if len(v) > 1] == []


def test_no_vague_file_names():
    assert not [n for n in FILES if VAGUE & set(Path(n).with_suffix("").parts)]


# --- sizes and docstrings -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_file_and_its_functions_are_short(name):
    assert len(FILES[name].read_text().splitlines()) <= 250
    for node in definitions(TREES[name]):
        if not isinstance(node, ast.ClassDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{node.name} has {length} lines"


def test_median_function_is_under_ten_lines():
    lengths = []
    for _, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lengths.append(node.end_lineno - body[0].lineno + 1 if body else 0)
    assert statistics.median(lengths) < 10


@pytest.mark.parametrize("name", FILES)
def test_public_definitions_have_docstrings(name):
    def missing(body, prefix=""):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                if not ast.get_docstring(node):
                    yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from missing(node.body, f"{node.name}.")

    assert ast.get_docstring(TREES[name])
    assert list(missing(TREES[name].body)) == []


DOCTESTS = """
import doctest, importlib, sys, torch
failed = []
for name in sys.argv[1:]:
    torch.manual_seed(0)
    module = importlib.import_module(name)
    if doctest.testmod(module, extraglobs={"torch": torch}).failed:
        failed.append(name)
sys.exit(f"failed: {failed}" if failed else 0)
"""


def test_docstring_examples_run():
    modules = []
    for name, path in FILES.items():
        if ">>>" in path.read_text():
            stem = name.removesuffix(".py").removesuffix("/__init__")
            modules.append("dgm." + stem.replace("/", "."))
    command = [sys.executable, "-c", DOCTESTS, *modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_chapter_folder_and_test_carry_one_name():
    from dgm import zoo

    chapters = {p.stem for p in (ROOT.parent / "notebooks").glob("*.ipynb")}
    for entry in zoo.entries().values():
        assert (ROOT / entry.family).is_dir(), f"{entry.name}: no folder {entry.family}"
        assert (ROOT / "zoo" / f"{entry.family}.py").is_file()
        assert (Path(__file__).parent / f"test_{entry.family}.py").is_file(), entry.family
        assert not chapters or entry.chapter in chapters, f"{entry.name}: no {entry.chapter}"
