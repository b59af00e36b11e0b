"""Whoever publishes the book needs no edit; a chapter alone on Colab installs itself and runs."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
OWNER, REPO = "-OWNER", "REPO"
ARCHIVE = f"https://github.com/{OWNER}/{REPO}/archive/main.zip"
CHAPTER = ROOT / "notebooks/13_coupling_flows.ipynb"  # it needs the committed weights as well
PREINSTALLED = ["torch", "numpy", "matplotlib", "scikit-learn", "ipykernel"]


def tracked():
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [n for n in names.split("\0") if n and (ROOT / n).is_file()]


def text(name):
    return (ROOT / name).read_bytes().decode(errors="ignore")


def test_no_file_holds_another_address_than_the_placeholder():
    ours = (
        r"colab\.research\.google\.com/github/|[\w-]+\.github\.io/\w"
        r"|github\.com/[^/\s]+/\w+/(archive|blob)/"
    )
    found = {
        (name, line.strip()[:200])
        for name in tracked()
        if not name.startswith(("dgm/data/", "tests/"))  # addresses of data sets
        for line in text(name).split("\n")
        for m in re.finditer(ours, line)
        if OWNER not in line[m.start() : m.end() + 20]
    }
    assert found == set()


def test_stamping_fills_in_every_address(tmp_path):
    spec = importlib.util.spec_from_file_location("stamp", ROOT / "tools/stamp.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.main(tmp_path, "Ada/flows")
    for path in tmp_path.rglob("*"):
        name = path.relative_to(tmp_path).as_posix()
        if path.is_file() and not name.startswith((*tool.KEEP, "tests/")):
            assert OWNER.encode() not in path.read_bytes(), name
    page = (tmp_path / "_config.yml").read_text()
    assert "https://github.com/Ada/flows\n  branch: published" in page
    assert "https://ada.github.io/flows/" in page
    for path in tmp_path.glob("notebooks/*.ipynb"):
        source = path.read_text()
        assert f"github/Ada/flows/blob/published/notebooks/{path.name}" in source
        assert "https://github.com/Ada/flows/archive/published.zip" in source


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of a fresh environment with what Colab has, and nothing of ours."""
    folder = tmp_path_factory.mktemp("colab")
    run(sys.executable, "-m", "venv", folder / "env")
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = [r for r in text("requirements.txt").split("\n") if r.startswith("torch")]
    run(python, "-m", "pip", "install", "-q", *wanted, *PREINSTALLED)
    return python


@pytest.mark.slow  # it installs torch, and runs a chapter a second time: weekly
def test_a_chapter_alone_in_an_empty_folder_installs_itself_and_runs(colab, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    archive, folder, kernel = (
        tmp_path / "main.zip",
        tmp_path / "content",
        tmp_path / "kernels/colab",
    )
    with zipfile.ZipFile(archive, "w") as store:  # as GitHub serves a branch
        for name in tracked():
            store.write(ROOT / name, f"{REPO}-main/{name}")
    folder.mkdir()
    kernel.mkdir(parents=True)
    argv = [str(colab), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for name in ("PYTHONPATH", "DGM_RESULTS", "DGM_SCALE", "DGM_DATA"):
        monkeypatch.delenv(name, raising=False)
    where = "import torch, os; print(torch.__version__, os.stat(torch.__file__).st_mtime_ns)"
    before = run(colab, "-c", where)
    absent = subprocess.run([colab, "-c", "import dgm"], cwd=folder, capture_output=True)
    assert absent.returncode != 0

    source = CHAPTER.read_text()
    assert source.count(ARCHIVE) == 1
    nb = nbformat.reads(source.replace(ARCHIVE, archive.as_uri()), as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(nb, timeout=300, kernel_name="colab", resources=resources).execute()

    assert run(colab, "-c", where) == before, "the install replaced Colab's torch"
    home = run(colab, "-c", "import dgm; print(dgm.__file__)", cwd=folder)
    assert "site-packages" in home
