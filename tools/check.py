"""Run everything (`make test`), say how long it took, and end in one line of counts.

lint, format   seconds each
book           built from the committed outputs, in the background of the next
tests          every test and every chapter, two files at a time, the longest first, so that no
               worker is left alone at the end; a chapter runs once, its exercises unsolved too
pages          the built site in a browser, page by page on both workers

How long each file took is kept in `_build/seconds.json` for the order of the next run.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECONDS = ROOT / "_build/seconds.json"
RUN = [sys.executable, "-m"]
BOOK = str(pathlib.Path(sys.executable).with_name("jupyter-book"))
BUILD = [BOOK, "build", ".", "--all", "-W", "-n", "--keep-going", "--quiet"]
PYTEST = [*RUN, "pytest", "-n", "2", "--durations=15", "--durations-min=2"]
BY_FILE = ["--dist", "loadfile", "--no-loadscope-reorder"]
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
PAGES = ["tests/test_book.py"]
CHAPTER = 60  # seconds, of a chapter or a test file that was never timed


def files():
    """Every test file and chapter but those of the pages, the longest first."""
    known = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    names = [p.relative_to(ROOT).as_posix() for p in ROOT.glob("tests/test_*.py")]
    names += [p.relative_to(ROOT).as_posix() for p in ROOT.glob("notebooks/*.ipynb")]
    return sorted(set(names) - set(PAGES), key=lambda name: (-known.get(name, CHAPTER), name))


def cases(report):
    """(file, seconds, outcome) of every test in a JUnit file; outcome None where it passed."""
    stems = {pathlib.Path(name).stem: name for name in [*files(), *PAGES]}
    for case in ElementTree.parse(report).iter("testcase"):
        words = case.get("classname").replace("::", ".").split(".")
        name = next((stems[word] for word in words if word in stems), None)
        bad = [tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None]
        yield name, float(case.get("time")), bad[0] if bad else None


def counts(report, returncode):
    """[passed, failed, skipped] of one stage: from its JUnit file, or the stage as one check."""
    if not report.exists():
        return [int(returncode == 0), int(returncode != 0), 0]
    outcomes = [outcome for _, _, outcome in cases(report)]
    failed = sum(outcome in ("failure", "error") for outcome in outcomes)
    if returncode and not failed:  # pytest itself stopped: no test collected, a crash
        failed = 1
    return [outcomes.count(None), failed, outcomes.count("skipped")]


def remember(report):
    """Keep the seconds of each file, for the order of the next run."""
    total = {}
    for name, seconds, _ in cases(report) if report.exists() else ():
        total[name] = total.get(name, 0) + seconds
    SECONDS.parent.mkdir(exist_ok=True)
    kept = {name: round(seconds, 1) for name, seconds in total.items() if name}
    SECONDS.write_text(json.dumps(kept, indent=1, sort_keys=True))


class Stage:
    """One command, begun when made, with its time and its counts when it has ended."""

    def __init__(self, folder, name, command, behind=False):
        self.name, self.report = name, folder / f"{name}.xml"
        self.output = folder / f"{name}.txt" if behind else None
        command = [*command, f"--junitxml={self.report}"] if "pytest" in command else command
        words = " ".join(command)
        print(f"--- {name}: {words[:160]}{'…' * (len(words) > 160)}", flush=True)
        self.began = time.perf_counter()
        where = self.output.open("w") if behind else None
        self.process = subprocess.Popen(command, stdout=where, stderr=where)

    def end(self):
        """Wait for it; return its row of the table, and show what it wrote behind the others."""
        returncode = self.process.wait()
        if self.output and self.output.read_text().strip():
            print(f"--- {self.name} said:\n{self.output.read_text()}", flush=True)
        seconds = time.perf_counter() - self.began
        return [self.name, seconds, *counts(self.report, returncode)]


def main():
    os.chdir(ROOT)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("DGM_RESULTS", None)  # a test run compares figures, it never moves them
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows = [Stage(folder, "lint", [*RUN, "ruff", "check", "."]).end()]
        rows += [Stage(folder, "format", [*RUN, "ruff", "format", "--check", "."]).end()]
        book = Stage(folder, "book", BUILD, behind=True)
        tests = Stage(folder, "tests", [*PYTEST, *BY_FILE, *NBVAL, *files()])
        rows += [tests.end(), book.end()]
        remember(tests.report)
        rows += [Stage(folder, "pages", [*PYTEST, "--dist", "load", *PAGES]).end()]
    print("\nstage       seconds  passed  failed  skipped")
    for name, seconds, *numbers in rows:
        print(f"{name:10} {seconds:8.0f} {numbers[0]:7} {numbers[1]:7} {numbers[2]:8}")
    passed, failed = (sum(row[k] for row in rows) for k in (2, 3))
    print(f"all stages {time.perf_counter() - began:8.0f}\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
