"""Re-execute, in place, the chapters whose code or whose part of ``dgm`` changed.

    python tools/notebooks.py           every stale chapter (stale.py says what that is)
    python tools/notebooks.py --looks   also those of which only the looks may have changed
    python tools/notebooks.py 13 2      these chapters, stale or not
    python tools/notebooks.py --list    only say which are stale, and why

A chapter and its ledger change together, when it has come to its end; one that fails or is stopped
leaves both as they were.  Outputs that came out the same are not written again.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import nbformat
import stale

ROOT = stale.ROOT
LEDGER = stale.load("dgm/results/file.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "DGM_RESULTS": "update", "TQDM_DISABLE": "1"}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Runs in the kernel before the first cell: remember each file opened and each listing shown.
WATCH = (
    "import sys; _opened, _shown = set(), set(); sys.addaudithook(lambda event, args:"
    " _opened.add(args[0]) if event == 'open' and isinstance(args[0], str)"
    " else _shown.add(' '.join(args)) if event == 'dgm.plot.source' else None)"
)
# Runs in the kernel after the last cell: the files that this chapter's outputs rest on.
REPORT = """
import json, os, sys
_loaded = [m for name, m in sys.modules.items() if name.split(".")[0] == "dgm"]
_modules = {getattr(m, "__file__", None) for m in _loaded}
_read = {f for f in _opened if not f.endswith((".py", ".pyc"))}  # what code was read is not run
_files = {f for f in _modules | _read if f}
print(json.dumps([sorted(os.path.abspath(f) for f in _files), sorted(_shown)]))
"""


def chapters(numbers=()):
    """Paths of the chapters, or of those with these numbers."""
    paths = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    found = [p for p in paths if not numbers or int(p.name[:2]) in numbers]
    missing = set(numbers) - {int(p.name[:2]) for p in found}
    if missing:
        sys.exit(f"no such chapter: {sorted(missing)}; there are {[p.stem for p in paths]}")
    return found


def inside(names):
    """Those of the files that lie in ``dgm/``, as paths from the root."""
    paths = {pathlib.Path(name).resolve() for name in names}
    kept = {p for p in paths if (ROOT / "dgm") in p.parents and p.is_file()}
    return {p.relative_to(ROOT).as_posix() for p in kept}


def execute(path, nb):
    """Run a chapter's cells in a fresh kernel; return it with clean outputs, and its entry."""
    from nbclient import NotebookClient

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
    files, shown = json.loads(nb.cells.pop().outputs[-1].text)
    nb.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for i, cell in enumerate(nb.cells):
        cell.id = f"{path.name[:2]}-{i:02d}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}, cell {i} wrote to stderr:\n{output.text}")
    nb.nbformat, nb.nbformat_minor = 4, 5
    nbformat.validate(nb)
    return nb, stale.describe(nb, inside(files), shown)


def pixels(text):
    """Size and pixels of a stored PNG."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")
    return image.size, image.tobytes()


def same(old, new):
    """Whether two outputs show the same: equal, or pictures of equal pixels."""
    if old == new:
        return True
    if old.output_type != new.output_type or "data" not in new or set(old.data) != set(new.data):
        return False
    rest = [{**out, "data": {k: v for k, v in out.data.items() if k != "image/png"}}
            for out in (old, new)]  # fmt: skip
    if "image/png" not in new.data or rest[0] != rest[1]:
        return False
    return pixels(old.data["image/png"]) == pixels(new.data["image/png"])


def keep_equal_outputs(old, new):
    """Put the stored outputs back into cells of ``new`` where the run gave the same."""
    for before, after in zip(old.cells, new.cells, strict=True):
        pair = before.get("outputs", []), after.get("outputs", [])
        if pair[0] and len(pair[0]) == len(pair[1]) and all(map(same, *pair)):
            after.outputs = before.outputs


def replace(path, text):
    """Give the file this text, at once and only if it differs; say whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    handle, draft = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(draft, 0o644)
    os.replace(draft, path)
    return True


def settle_ledgers(folder):
    """Put the ledgers of a run that came to its end in place, unless only timings differ."""
    for made in sorted(folder.glob("*/*.json")):
        path, new = ROOT / "results" / made.parent.name / made.name, LEDGER.read_ledger(made)
        with LEDGER.alone(path):
            if not path.exists() or compared(LEDGER.read_ledger(path)) != compared(new):
                LEDGER.write_ledger(path, new)


def compared(ledger):
    """What of a ledger a later run is held against: all but the values of timings."""
    figures = [
        {**f, "value": None} if f["unit"] in LEDGER.TIMINGS and f["tolerance"] is None else f
        for f in ledger["figures"]
    ]
    return {**ledger, "figures": figures}


def remember(stem, entry):
    """Write a chapter's entry into the one file of all entries."""
    with LEDGER.alone(stale.RECORD):
        entries = stale.record() | {stem: entry}
        present = {p.stem for p in chapters()}
        kept = {s: entries[s] for s in entries if s in present}
        replace(stale.RECORD, stale.packed(kept))


@contextlib.contextmanager
def own_folder():
    """A folder for the ledger of one run; it goes with the run, however that ends."""
    (ROOT / "_build").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=ROOT / "_build"))
    os.environ["DGM_RESULTS_IN"] = str(folder)
    try:
        yield folder
    finally:
        del os.environ["DGM_RESULTS_IN"]
        shutil.rmtree(folder, ignore_errors=True)


def run(path):
    """Execute a chapter and put notebook, ledger and entry in place; a word on what changed."""
    text = path.read_text(encoding="utf-8")
    with own_folder() as folder:
        nb, entry = execute(path, nbformat.reads(text, as_version=4))
        if path.read_text(encoding="utf-8") != text:
            raise RuntimeError(f"{path.name} was edited while it ran; run it again")
        settle_ledgers(folder)
    keep_equal_outputs(nbformat.reads(text, as_version=4), nb)
    changed = replace(path, nbformat.writes(nb) + "\n")
    remember(path.stem, entry)
    return "done" if changed else "done, every output as it was"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--looks", action="store_true")
    args = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    failed = []
    for path in chapters(args.numbers):
        reason = stale.why_stale(path.stem, nbformat.read(path, as_version=4))
        looks = None if reason else stale.why_dated(path.stem)
        if args.list or not (reason or args.numbers or (args.looks and looks)):
            print(f"{path.stem}: {reason or looks or 'up to date'}", flush=True)
            continue
        start = time.perf_counter()
        print(f"{path.stem}: running ({reason or looks or 'asked for'})", flush=True)
        try:
            word = run(path)
        except Exception as error:
            failed.append(path.stem)
            print(f"{path.stem}: FAILED, left as it was\n{error}", flush=True)
            continue
        except KeyboardInterrupt:
            sys.exit(f"{path.stem}: stopped, left as it was")
        print(f"{path.stem}: {word}, {time.perf_counter() - start:.0f} s", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
