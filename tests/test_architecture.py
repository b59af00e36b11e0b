"""The shape of `dgm`: floors, the copy contract, names, maps of folders, sizes, docstrings."""

import ast
import collections
import json
import re
import shutil
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import dgm
from dgm import zoo
from dgm.scope import bound_names

ROOT = Path(dgm.__file__).parent
TESTS = Path(__file__).parent
MIDDLE = {"audit", "data", "measure", "nets", "plot", "results", "train"}  # and files in dgm/
TOP = {"zoo", "copy.py"}
GROUND = sorted(
    d.name
    for d in ROOT.iterdir()
    if d.is_dir() and (d / "__init__.py").exists() and d.name not in MIDDLE | TOP
)
FRONT_DOORS = {f"{d}/__init__.py" for d in ("audit", "data", "plot", "results", "train", "zoo")}
ROOMS = list(dict.fromkeys(zoo.modules().values()))  # in the order of the chapters
NO_CHAPTER = {"distribution"}  # rooms on the ground floor that every chapter uses
SUBJECTS = {"torchdiffeq", "constriction", "scipy", "sklearn"}
FRONT_NAMES = {"load", "main"}  # `data.load`, `zoo.load` ...: the front doors' own words
SAID_BY_EACH = {"CHAPTER", "BRANCH", "ENTRIES"}  # what every zoo module says of itself
VAGUE = {"utils", "util", "misc", "common", "helpers", "helper"}

FILES = {str(p.relative_to(ROOT)): p for p in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
GROUND_FILES = [n for n in FILES if n.split("/")[0] in GROUND and not n.endswith("__init__.py")]


def for_types_only(tree):
    """What stands under ``if TYPE_CHECKING``: annotations need it, the code does not."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If)]
    blocks = [n for n in blocks if getattr(n.test, "id", "") == "TYPE_CHECKING"]
    return {node for block in blocks for part in block.body for node in ast.walk(part)}


def imported(tree, types=True):
    """Modules a file imports, anywhere in it; without ``types`` only those it needs to run."""
    left_out = set() if types else for_types_only(tree)
    for node in (n for n in ast.walk(tree) if n not in left_out):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module
            if node.module.split(".")[0] == "dgm":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name, types=True):
    """Files of dgm that a file imports."""
    for module in imported(TREES[name], types):
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


def test_a_zoo_module_is_imported_only_when_one_of_its_systems_is_asked_for():
    script = (
        "import sys\nfrom dgm import zoo\nzoo.modules()\n"
        "before = {m for m in sys.modules if m.startswith('dgm.')}\nzoo.get('nice')\n"
        "print(*before, '-', *(m for m in sys.modules if m.startswith('dgm.zoo.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    before, after = done.stdout.split(" - ")
    rooms = {f"dgm.zoo.{room}" for room in ROOMS}
    assert not rooms & set(before.split())
    assert rooms & set(after.split()) == {"dgm.zoo.flow"}
    assert not {m.split(".")[1] for m in before.split()} & (set(GROUND) - {"distribution"})


def test_no_circles():
    files = [name for name in FILES if not name.endswith("__init__.py")]
    waits = {name: set(inside(name, types=False)) & set(files) for name in files}
    while ready := [n for n, needs in waits.items() if not needs & waits.keys()]:
        for name in ready:
            del waits[name]
    assert not waits, f"circle among {sorted(waits)}"


@pytest.mark.parametrize("name", [n for n in FILES if n.endswith("__init__.py")])
def test_init_is_a_docstring(name):
    assert ast.get_docstring(TREES[name])
    if name not in FRONT_DOORS:
        assert len(TREES[name].body) == 1


def folder_map(name):
    """Files that the table of an `__init__.py` lists, each with a word about it."""
    rows = re.findall(r"^\|\s*`([\w.]+)`\s*\|\s*(.+?)\s*\|", ast.get_docstring(TREES[name]), re.M)
    assert all(said for _, said in rows)
    assert len(rows) == len(dict(rows)), "a file is listed twice"
    return set(dict(rows))


@pytest.mark.parametrize("folder", sorted((set(GROUND) | MIDDLE | TOP) - {"copy.py"}))
def test_folder_map_lists_the_files_of_the_folder(folder):
    files = {p.name for p in (ROOT / folder).iterdir() if p.suffix in (".py", ".html")}
    listed = folder_map(f"{folder}/__init__.py")
    rooms = {f"{room}.py" for room in ROOMS} if folder == "zoo" else set()  # one line for all
    assert listed - files == set(), "listed, but not there"
    assert files - listed - rooms == {"__init__.py"}, "there, but not listed"


def names_at_the_top(name):
    """What a file defines: its functions and classes, and whether it is a constant."""
    for node in TREES[name].body:
        for defined, imported in bound_names([node]).items():
            if imported is None:
                yield defined, not isinstance(node, ast.FunctionDef | ast.ClassDef)


def test_names_are_unique_where_systems_are_made_of():
    """`dgm.copy` puts definitions of several files into one: private ones and constants too."""
    places = collections.defaultdict(list)
    for name in FILES:
        folder = name.split("/")[0]
        if folder not in {*GROUND, "nets", "measure", "zoo"}:
            continue
        for defined, is_constant in names_at_the_top(name):
            of_a_recipe = (
                folder == "zoo" and is_constant
            )  # test_copy.py sees those that are reached
            if not of_a_recipe and defined not in FRONT_NAMES | {"__all__"}:
                places[defined].append(name)
    assert {k: v for k, v in places.items() if len(v) > 1} == {}


def test_no_public_name_is_defined_twice():
    places = collections.defaultdict(list)
    for name in FILES:
        for defined, is_constant in names_at_the_top(name):
            if not is_constant and not defined.startswith("_"):
                places[defined].append(name)
    assert {k: v for k, v in places.items() if len(v) > 1 and k not in FRONT_NAMES} == {}


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


@pytest.mark.parametrize("name", FILES)
def test_a_long_function_says_its_phases(name):
    """Over 15 lines and more than six steps: at least one comment between them."""
    with open(FILES[name], "rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT]
    said = {t.start[0] for t in tokens if not re.match(r"# *(noqa|fmt:)", t.string)}
    for node in definitions(TREES[name]):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        if isinstance(node, ast.ClassDef) or len(body) <= 6:
            continue
        lines = range(body[0].lineno, node.end_lineno + 1)
        assert len(lines) <= 15 or said & set(lines), f"{node.name}: {len(lines)} lines, no comment"


DOCTESTS = """
import doctest, importlib, sys, torch
failed, empty = [], []
for name in sys.argv[1:]:
    torch.manual_seed(0)
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"torch": torch})
    failed += [name] * bool(found.failed)
    empty += [name] * (found.attempted == 0)
sys.exit(f"failed: {failed}, none run: {empty}" if failed or empty else 0)
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


def test_docstring_examples_run_here_only_and_all_of_them():
    assert [n for n in FILES if "+SKIP" in FILES[n].read_text()] == []
    others = [p for p in TESTS.glob("*.py") if p != Path(__file__)]
    assert [
        p.name for p in others if re.search(r"import doctest|doctest\.testmod", p.read_text())
    ] == []


# --- rooms and chapters ---------------------------------------------------------------------------


def test_chapter_zoo_module_room_and_tests_carry_one_name():
    for room in ROOMS:
        assert room in GROUND, f"zoo/{room}.py: no room {room}/"
        assert (TESTS / f"test_{room}.py").is_file(), room
    assert set(GROUND) - NO_CHAPTER == set(ROOMS), "a room without a chapter"


def test_every_zoo_module_says_its_chapter_and_branch():
    notebooks = {p.stem for p in (ROOT.parent / "notebooks").glob("*.ipynb")}
    chapters = []
    for path in (ROOT / "zoo").glob("*.py"):
        said = dict(names_at_the_top(f"zoo/{path.name}"))
        if "ENTRIES" in said:
            assert said.keys() >= SAID_BY_EACH, path.name
            assert path.stem in ROOMS, f"{path.name}: no entry is found"
            name = next(n for n, room in zoo.modules().items() if room == path.stem)
            chapters.append(zoo.get(name).chapter)
            assert not notebooks or chapters[-1] in notebooks
    assert len(chapters) == len(set(chapters)) == len(ROOMS), "two modules of one chapter"
