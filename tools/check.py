"""Run everything (`make test`), say how long each stage took, and end in one line of counts."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUN = [sys.executable, "-m"]
BOOK = str(pathlib.Path(sys.executable).with_name("jupyter-book"))
PYTEST = [*RUN, "pytest", "-n", "2", "--dist", "loadfile"]
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "notebooks"]
STAGES = {
    "lint": [*RUN, "ruff", "check", "."],
    "format": [*RUN, "ruff", "format", "--check", "."],
    "book": [BOOK, "build", ".", "--all", "-W", "-n", "--keep-going", "--quiet"],
    "tests": [*PYTEST, "tests"],  # the built pages and a played Colab among them
    "notebooks": [*PYTEST, *NBVAL],
}


def counts(report, returncode):
    """(passed, failed, skipped) of one stage: from its JUnit file, or the stage as one check."""
    if not report.exists():
        return (1, 0, 0) if returncode == 0 else (0, 1, 0)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, failures, errors, skipped = (
        int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    if returncode and not failed:  # pytest itself stopped: no test collected, a crash
        failed = 1
    return max(total - failures - errors - skipped, 0), failed, skipped


def main():
    os.chdir(ROOT)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("DGM_RESULTS", None)  # a test run compares figures, it never moves them
    rows, began = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, command in STAGES.items():
            report = pathlib.Path(folder, f"{name}.xml")
            if command[:3] == PYTEST[:3]:
                command = [*command, f"--junitxml={report}"]
            print(f"--- {name}: {' '.join(command)}", flush=True)
            start = time.perf_counter()
            returncode = subprocess.run(command).returncode
            rows.append((name, time.perf_counter() - start, *counts(report, returncode)))
    print("\nstage       seconds  passed  failed  skipped")
    for name, seconds, *numbers in rows:
        print(f"{name:10} {seconds:8.0f} {numbers[0]:7} {numbers[1]:7} {numbers[2]:8}")
    passed, failed = (sum(row[k] for row in rows) for k in (2, 3))
    print(f"all stages {time.perf_counter() - began:8.0f}\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
