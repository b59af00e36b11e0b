"""What `dgm` imports is what it declares, so that it runs where only the declared is installed."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "IPython": "ipython"}  # import: package


def declared(text):
    return {re.match(r"[\w-]+", line.strip(" \"'"))[0].lower() for line in text if line.strip()}


def dependencies():
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)[1]
    return declared(re.findall(r'"([^"]+)"', block))


def imported():
    found = {}
    for path in ROOT.glob("dgm/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - {"dgm"}:
                if name not in sys.stdlib_module_names:
                    found[PACKAGES.get(name, name)] = path.relative_to(ROOT).as_posix()
    return found


def test_every_package_that_is_imported_is_declared_and_no_other():
    assert set(imported()) == dependencies(), imported()


def test_what_is_installed_holds_every_file_that_the_package_reads(tmp_path):
    """A wheel holds the modules, and beside them what pyproject.toml names: nothing else."""
    sources = [p for p in ROOT.glob("dgm/**/*") if p.is_file() and "__pycache__" not in p.parts]
    for path in (*sources, ROOT / "pyproject.toml", ROOT / "README.md"):
        copy = tmp_path / "source" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py"]
    command += ["--build-lib", str(tmp_path / "built")]
    subprocess.run(command, cwd=tmp_path / "source", check=True, capture_output=True)
    built = {p.relative_to(tmp_path / "built").as_posix() for p in (tmp_path / "built").rglob("*")}
    assert {p.relative_to(ROOT).as_posix() for p in sources} - built == set()
    assert "dgm/data/embedded/t10k-images-idx3-ubyte.xz" in built


def test_the_development_set_holds_every_dependency():
    lines = (ROOT / "requirements.txt").read_text().split("\n")
    assert dependencies() <= declared(line for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda p: p.stem)
def test_a_workflow_gives_each_job_the_least_it_needs(path):
    text = path.read_text()
    flow = yaml.safe_load(text)
    assert set(flow["permissions"].values() if flow["permissions"] else []) <= {"read"}
    for name, job in flow["jobs"].items():
        rights = job.get("permissions", flow["permissions"])
        scripts = "\n".join(step.get("run", "") for step in job["steps"])
        assert "${{" not in scripts, f"{name}: values reach a shell line through the environment"
        if re.search(r"\bpip\b|\bmake\b|\.ci/run", scripts):
            assert set(rights.values()) <= {"read"}, f"{name} installs packages"
        for step in job["steps"]:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", f"a@{'0' * 40}")), step
    assert re.findall(r"uses: .*@\w{40}$", text, re.MULTILINE) == []  # the version stands beside
