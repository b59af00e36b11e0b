"""The text that fingerprints hash does not depend on the interpreter: Colab's is not ours."""

import ast
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import dgm
from dgm.zoo import fingerprint

PACKAGE = pathlib.Path(dgm.__file__).parent
GOLDEN = "b6ac86cf8c26674b"  # what ast.dump of Python 3.9 to 3.11 gives
SAMPLE = '''
@wraps
def f(a, *b: int, c=None, **d) -> None:
    """Said in words."""
    x: int = [1, *b, {**d}]
    print(f"{a!r:>{c}}", b"1", 1e3, ..., None, sep="")
    return

class A(B, metaclass=C):
    y = lambda: (yield)
    async def g(self, /): ...
'''
# Runs under any Python: the digest of every file's text, by name, and of the sample.
SCRIPT = """
import ast, hashlib, importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("fingerprint", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
def digest(text):
    return hashlib.sha256(module.tree_text(ast.parse(text)).encode()).hexdigest()
files = sorted(pathlib.Path(sys.argv[2]).rglob("*.py"))
found = {str(f): digest(f.read_text(encoding="utf-8")) for f in files}
print(json.dumps([found, digest(sys.argv[3])]))
"""


def interpreters():
    """Every Python 3.10 or newer at hand, this one first."""
    names = [f"python3.{minor}" for minor in range(10, 20)]
    found = [shutil.which(name) for name in names]
    for folder in sorted(pathlib.Path.home().glob(".pyenv/versions/3.1*/bin")):
        found += [str(folder / name) for name in names if (folder / name).exists()]
    runs = {}
    for python in [sys.executable, *filter(None, found)]:
        asked = [python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.returncode == 0:
            runs.setdefault(done.stdout.strip(), python)
    return runs


def digests(python):
    script = [python, "-c", SCRIPT, fingerprint.__file__, str(PACKAGE), SAMPLE]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(script, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("version", "python"), interpreters().items())
def test_every_python_reads_the_same_text_out_of_our_code(version, python):
    here, _ = digests(sys.executable)
    there, sample = digests(python)
    assert sample[:16] == GOLDEN, "the text changed: every committed weight file is refused"
    assert there == here


def test_text_holds_values_that_are_none_and_leaves_optional_fields_out():
    text = fingerprint.tree_text(ast.parse("def f(a=None): return"))
    assert "Constant(value=None)" in text
    assert "Return()" in text
    assert "type_params" not in text
