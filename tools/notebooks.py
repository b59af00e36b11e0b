"""Re-execute, in place, the chapters whose code or whose part of ``dgm`` changed.

    python tools/notebooks.py           every stale chapter
    python tools/notebooks.py 13 2      these chapters, stale or not
    python tools/notebooks.py --list    only say which are stale, and why

A chapter remembers, in its metadata under ``dgm``, the hash of its code cells and of every file of
``dgm/`` it loaded (modules, weights, tables).  A chapter that fails is left as it was.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import time

import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "DGM_RESULTS": "update", "TQDM_DISABLE": "1"}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Runs in the kernel before the first cell: remember each file opened.  safetensors opens its files
# outside Python's sight, so dgm.zoo.weights announces them.
WATCH = (
    "import sys; _opened = set(); sys.addaudithook(lambda event, args: _opened.add(args[0])"
    " if event in ('open', 'dgm.zoo.weights') and isinstance(args[0], str) else None)"
)
# Runs in the kernel after the last cell: the files that this chapter's outputs rest on.
REPORT = """
import json, os, sys
_loaded = [m for name, m in sys.modules.items() if name.split(".")[0] == "dgm"]
_modules = {getattr(m, "__file__", None) for m in _loaded}
_files = {f for f in _modules | _opened if f and not f.endswith(".pyc")}
print(json.dumps(sorted(os.path.abspath(f) for f in _files)))
"""


def chapters(numbers=()):
    """Paths of the chapters, or of those with these numbers."""
    paths = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    found = [p for p in paths if not numbers or int(p.name[:2]) in numbers]
    missing = set(numbers) - {int(p.name[:2]) for p in found}
    if missing:
        sys.exit(f"no such chapter: {sorted(missing)}; there are {[p.stem for p in paths]}")
    return found


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def code_digest(nb):
    return digest("\n\0".join(c.source for c in nb.cells if c.cell_type == "code").encode())


def file_digests(names):
    """Hashes of the files of ``dgm/`` among ``names``, by path from the root."""
    paths = (pathlib.Path(n).resolve() for n in names)
    inside = sorted(p for p in paths if (ROOT / "dgm") in p.parents and p.is_file())
    return {p.relative_to(ROOT).as_posix(): digest(p.read_bytes()) for p in inside}


def why_stale(nb):
    """One line saying what changed since the outputs were made, or None when nothing did."""
    made = nb.metadata.get("dgm")
    if not made:
        return "never executed by make notebooks"
    if made["code"] != code_digest(nb):
        return "its code changed"
    now = file_digests(ROOT / name for name in made["files"])
    moved = [name for name, old in made["files"].items() if now.get(name) != old]
    return f"changed since: {', '.join(moved)}" if moved else None


def execute(path):
    """Run one chapter in a fresh kernel and return it with clean outputs."""
    from nbclient import NotebookClient

    nb = nbformat.read(path, as_version=4)
    nb.cells.append(nbformat.v4.new_code_cell(REPORT))
    NotebookClient(
        nb,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[f"--IPKernelApp.exec_lines={WATCH}"],
        record_timing=False,
        coalesce_streams=True,
    ).execute()
    files = json.loads(nb.cells.pop().outputs[-1].text)
    nb.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nb.metadata["dgm"] = {"code": code_digest(nb), "files": file_digests(files)}
    for i, cell in enumerate(nb.cells):
        cell.id = f"{path.name[:2]}-{i:02d}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}, cell {i} wrote to stderr:\n{output.text}")
    nb.nbformat, nb.nbformat_minor = 4, 5
    nbformat.validate(nb)
    return nb


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    failed = []
    for path in chapters(args.numbers):
        reason = why_stale(nbformat.read(path, as_version=4))
        if args.list or not (reason or args.numbers):
            print(f"{path.stem}: {reason or 'up to date'}", flush=True)
            continue
        start = time.perf_counter()
        print(f"{path.stem}: running ({reason or 'asked for'})", flush=True)
        try:
            nb = execute(path)
        except Exception as error:
            failed.append(path.stem)
            print(f"{path.stem}: FAILED, left as it was\n{error}", flush=True)
            continue
        draft = path.with_suffix(".tmp")
        nbformat.write(nb, draft)
        draft.replace(path)
        print(f"{path.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
