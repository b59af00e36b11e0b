"""`make notebooks`: what makes a chapter stale, what does not, and what a run leaves behind."""

import base64
import importlib
import importlib.util
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODULE = '''
"""What the module is about."""

import math  # for the root


class Flow:
    """A flow."""

    scale = 2.0

    def forward(self, x):
        """Return the root."""
        return math.sqrt(x) * self.scale  # the heart


def helper(x):
    """Help."""
    return x
'''


@pytest.fixture
def stale(tmp_path, monkeypatch):
    """The tool, looking at a package of two files."""
    spec = importlib.util.spec_from_file_location("stale", ROOT / "tools/stale.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.fingerprint()
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "RECORD", tmp_path / "executed.json")
    for name, text in (("flow.py", MODULE), ("plot/draw.py", MODULE), ("w.safetensors", "12")):
        (tmp_path / "dgm" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dgm" / name).write_text(text)
    return tool


NB = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
FILES = ["dgm/flow.py", "dgm/plot/draw.py", "dgm/w.safetensors"]


def edit(tool, name, old, new):
    path = tool.ROOT / "dgm" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(0, time.time_ns()))  # within one tick of the clock


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("flow.py", "Return the root.", "Return it, in other words."),
        ("flow.py", "# the heart", "# the very heart"),
        ("flow.py", "    return x\n", "    # nothing to do\n    return (x)\n"),
        ("plot/draw.py", "A flow.", "Another flow."),
    ],
)
def test_words_make_no_chapter_stale(stale, name, old, new):
    made = stale.describe(NB, FILES, [])
    edit(stale, name, old, new)
    assert stale.why_stale("01_mini", NB, made) is None
    assert stale.why_dated("01_mini", made) is None


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("flow.py", "scale = 2.0", "scale = 2.5"),
        ("flow.py", "math.sqrt", "math.log"),
        ("w.safetensors", "12", "13"),
    ],
)
def test_what_changes_numbers_makes_it_stale(stale, name, old, new):
    made = stale.describe(NB, FILES, [])
    edit(stale, name, old, new)
    assert stale.why_stale("01_mini", NB, made) == f"changed since: dgm/{name}"


def test_a_file_that_is_gone_new_code_and_no_entry_are_named(stale):
    made = stale.describe(NB, FILES, [])
    assert stale.why_stale("01_mini", NB) == "never executed by make notebooks"
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 2")])
    assert stale.why_stale("01_mini", other, made) == "its code changed"
    (stale.ROOT / "dgm/flow.py").unlink()
    assert stale.why_stale("01_mini", NB, made) == "changed since: dgm/flow.py"


def test_what_changes_looks_only_is_told_apart(stale):
    made = stale.describe(NB, FILES, [])
    edit(stale, "plot/draw.py", "scale = 2.0", "scale = 2.5")
    assert stale.why_stale("01_mini", NB, made) is None
    assert stale.why_dated("01_mini", made) == "looks changed since: dgm/plot/draw.py"


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("Return the root.", "Return it.", ["Flow", "Flow.forward"]),
        ("# the heart", "# heart", ["Flow", "Flow.forward"]),
        ("A flow.", "One flow.", ["Flow"]),
        ("Help.", "Help, in other words.", []),
        ("What the module is about.", "About.", []),
    ],
)
def test_a_listing_that_is_shown_counts_as_it_is_written(stale, old, new, moved):
    shown = ["dgm/flow.py Flow", "dgm/flow.py Flow.forward"]
    made = stale.describe(NB, FILES, shown)
    assert None not in made["shown"].values()
    edit(stale, "flow.py", old, new)
    names = ", ".join(f"dgm/flow.py {name}" for name in moved)
    wanted = f"shows what changed since: {names}" if moved else None
    assert stale.why_stale("01_mini", NB, made) == wanted


def png(level, grey):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), (grey, 0, 0)).save(buffer, "PNG", compress_level=level)
    return {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure>"}


def test_pictures_of_equal_pixels_are_the_same_output(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    tool = importlib.import_module("notebooks")
    first, packed, other = (
        nbformat.v4.new_output("display_data", data=png(level, grey))
        for level, grey in ((0, 7), (9, 7), (0, 8))
    )
    assert first != packed
    assert tool.same(first, packed)
    assert not tool.same(first, other)
    words = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in "ab"]
    assert tool.same(words[0], words[0])
    assert not tool.same(*words)
    assert not tool.same(first, words[0])


def test_a_run_keeps_the_stored_output_of_each_cell_that_gave_the_same(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    tool = importlib.import_module("notebooks")
    old, new = (
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data=d)])
                for d in data
            ]
        )
        for data in ((png(0, 7), png(0, 7)), (png(9, 7), png(9, 8)))
    )
    tool.keep_equal_outputs(old, new)
    assert [a.outputs == b.outputs for a, b in zip(old.cells, new.cells, strict=True)] == [
        True,
        False,
    ]


def test_a_chapter_rests_on_the_loaders_of_its_own_data_only():
    code = "import sys; from dgm import data; data.load('ising'); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dgm.data.worlds" in out.stdout
    assert "dgm.data.images" not in out.stdout
    assert "dgm.data.sequences" not in out.stdout


CELLS = (
    "import pathlib, time\nfrom dgm import plot, results\nfrom dgm.distribution.normal import "
    'StandardNormal\nledger = results.Ledger("01_mini")\nplot.source(StandardNormal.log_prob)',
    'ledger.exact("F1", None, "two", 2, "1", 0)\nledger.timing("F1", None, "now", time.time())',
    'claims = results.Claims(ledger)\nclaims.add("two", "Two is two.", 2, "==", 2)\nclaims.show()',
    "ENDING",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of package and tools, with one small chapter that has run."""
    top = tmp_path_factory.mktemp("checkout")
    left_out = shutil.ignore_patterns("*.xz", "__pycache__")
    shutil.copytree(ROOT / "dgm", top / "dgm", ignore=left_out)
    shutil.copytree(ROOT / "tools", top / "tools", ignore=left_out)
    (top / "notebooks").mkdir()
    (top / "results").mkdir()
    (top / "_toc.yml").touch()
    write_chapter(top, "")
    assert "done" in make(top)
    return top


def write_chapter(top, ending):
    cells = [nbformat.v4.new_code_cell(s.replace("ENDING", ending)) for s in CELLS]
    path = top / "notebooks/01_mini.ipynb"
    if path.exists():  # with the outputs of the last run, as an editor keeps them
        for old, new in zip(nbformat.read(path, as_version=4).cells, cells, strict=True):
            new.update(outputs=old.outputs, execution_count=old.execution_count, id=old.id)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def start(top, *arguments):
    command = [sys.executable, top / "tools/notebooks.py", *arguments]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(top), "DGM_SCALE": "laptop"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def make(top, *arguments):
    return start(top, *arguments).communicate()[0]


def state(top):
    """Bytes and age of everything a run may write."""
    files = [p for d in ("notebooks", "results", "_build") for p in (top / d).rglob("*")]
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files if p.is_file()}


def test_a_run_fills_notebook_ledger_and_record(checkout):
    nb = nbformat.read(checkout / "notebooks/01_mini.ipynb", as_version=4)
    assert "claim-two" in str(nb.cells[2].outputs)
    assert "dgm" not in nb.metadata  # hashes are not in the notebook
    ledger = json.loads((checkout / "results/laptop/01_mini.json").read_text())
    assert [figure["name"] for figure in ledger["figures"]] == ["now", "two"]
    held = json.loads((checkout / "notebooks/executed.json").read_text())
    entry, files = held["chapters"]["01_mini"], {name.split()[0] for name in held["files"]}
    assert "dgm/distribution/normal.py" in files
    assert "dgm/flow/flow.py" not in files
    assert set(held["files"].values()) == {"01"}
    assert list(entry["shown"]) == ["dgm/distribution/normal.py StandardNormal.log_prob"]
    assert {name.split("/")[1] for name in entry["looks"]} == {"plot", "results"}
    assert make(checkout, "--list") == "01_mini: up to date\n"


def test_a_run_that_gives_the_same_rewrites_nothing(checkout):
    before = state(checkout)
    assert "every output as it was" in make(checkout, "1")
    assert state(checkout) == before


def test_a_failing_chapter_leaves_everything_as_it_was(checkout):
    write_chapter(checkout, '1 / 0; ledger.exact("F1", None, "three", 3, "1", 0)')
    before = state(checkout)
    out = make(checkout)
    assert "FAILED, left as it was" in out
    assert "ZeroDivisionError" in out
    assert state(checkout) == before


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_run_that_is_stopped_leaves_everything_as_it_was(checkout):
    write_chapter(checkout, 'pathlib.Path("../going").touch(); time.sleep(60)')
    before = state(checkout)
    run = start(checkout)
    while not (checkout / "going").exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    assert run.communicate()[0]
    assert run.returncode != 0
    assert state(checkout) == before


def test_the_record_keeps_each_file_once_and_loses_nothing(stale):
    one = {"code": "a", "files": {"dgm/x.py": "1", "dgm/y.py": "2"}, "shown": {}, "looks": {}}
    two = one | {"files": {"dgm/x.py": "1", "dgm/y.py": "3"}}
    entries = {"01_one": one, "02_two": two}
    stale.RECORD.write_text(stale.packed(entries))
    assert stale.record() == entries
    assert json.loads(stale.RECORD.read_text())["files"]["dgm/x.py 1"] == "01 02"
