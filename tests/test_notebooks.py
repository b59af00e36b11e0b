"""Every chapter keeps the rules of the book, is fresh, and its exercises can fail and be solved."""

import ast
import importlib.util
import json
import pathlib
import re
import statistics

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("notebooks/*.ipynb"))
SLUG = "-OWNER/REPO"
SETUP = f"""try:
    import dgm
except ModuleNotFoundError:
    %pip install -q https://github.com/{SLUG}/archive/main.zip
import torch
"""
ROWS = {  # the checklist rows a chapter must record at least one figure for
    "01_joint_and_likelihood": "F1 F2 F3 F4 F5 F6 F7 F8",
    "02_mixtures_and_unbounded_likelihood": "F15 F9 O4",
    "03_linear_codes": "R1 R4 R6 R7",
    "04_autoencoders": "R2 R3 R5 V18",
    "05_vae": "V1 V2 V4 V5 R11",
    "06_posteriors_and_priors": "V20",
    "10_autoregressive": "A1 A4 A7 A8",
    "11_pixel_models": "A2 A3 A4",
    "12_sequences": "A5 A6 A8",
    "13_coupling_flows": "N1 N2 N3 N4 N5 N15",
}
# What a front end other than the book shows raw: MyST roles and directives, macros of the book.
UNPORTABLE = r"\\(eqref|label|ref|KL|E)\b|\{(math|cite|ref|eq|numref|doc)[:}]|^(```\{|:::)"
LEAKS = r"(/home|/work|/tmp|/root|/Users|/usr|/opt|C:\\)[/\\]|0x[0-9a-f]{8,}|Warning:"


@pytest.fixture(scope="module", params=CHAPTERS, ids=lambda p: p.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def nb(path):
    return nbformat.read(path, as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def code(nb):
    return [c for c in nb.cells if c.cell_type == "code"]


def shown(nb):
    """Code cells of the chapter itself: solutions of exercises are folded."""
    return [c for c in code(nb) if "exercise-solution" not in tags(c)]


def prose(nb):
    return [c for c in nb.cells if c.cell_type == "markdown"]


def outputs(nb):
    return [(c, o) for c in code(nb) for o in c.outputs]


def exercises(nb):
    """(heading, its cell, the next cell) of every exercise."""
    pairs = zip(nb.cells, [*nb.cells[1:], None], strict=True)
    return [
        (c.source.split("\n")[0], c, n)
        for c, n in pairs
        if c.cell_type == "markdown" and c.source.startswith("### Exercise")
    ]


def stub(cell):
    found = re.search(r"^```python\n(.*?)^```", cell.source, re.DOTALL | re.MULTILINE)
    return found and found[1]


def test_there_are_chapters():
    assert CHAPTERS


def test_chapter_is_fresh(nb):
    """Neither its code nor the part of dgm it loaded changed (else: make notebooks)."""
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools/notebooks.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.why_stale(nb) is None


def test_it_was_run_from_the_top_in_one_go(nb):
    assert [c.execution_count for c in code(nb)] == list(range(1, len(code(nb)) + 1))


def test_every_compared_cell_has_a_stored_output(nb):
    compared = [c for c in code(nb) if "nbval-check-output" in tags(c)]
    assert compared
    assert [c.source for c in compared if not c.outputs] == []


def test_outputs_hold_no_errors_widgets_or_stderr(nb):
    for cell, out in outputs(nb):
        assert out.output_type != "error", cell.source
        assert out.get("name") != "stderr", out.text
        assert not any("widget" in kind for kind in out.get("data", {})), cell.source


def test_outputs_hold_no_paths_addresses_or_warnings(nb):
    for _, out in outputs(nb):
        text = out.get("text", "") + str(out.get("data", {}).get("text/plain", ""))
        assert not re.search(LEAKS, text), text


def test_outputs_load_nothing_from_another_host(nb):
    for _, out in outputs(nb):
        html = out.get("data", {}).get("text/html", "")
        assert not re.search(r"(src=|url\(|import\()\s*[\"']?(https?:)?//", html), html[:300]


def test_every_figure_has_an_alternative_text(nb):
    for cell, out in outputs(nb):
        data = out.get("data", {})
        if "image/png" in data or "image/svg+xml" in data:
            assert len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) > 20, (
                cell.source
            )
        for image in re.findall(r"<img\b[^>]*>", data.get("text/html", "")):
            assert re.search(r"alt=[\"'][^\"']{5,}", image), image[:200]
    for cell in prose(nb):
        assert "![](" not in cell.source


def test_one_figure_at_least_can_be_moved(nb):
    html = [o.get("data", {}).get("text/html", "") for _, o in outputs(nb)]
    assert any('class="dgm-slider"' in h for h in html)


def test_mathematics_and_links_are_portable(nb):
    for cell in prose(nb):
        found = re.search(UNPORTABLE, cell.source, re.MULTILINE)
        assert not found, f"{found[0]!r} in: {cell.source[:200]}"
    numbers = [t for c in prose(nb) for t in re.findall(r"\\tag\{(.+?)\}", c.source)]
    assert len(numbers) == len(set(numbers)), numbers


def test_cells_are_short_and_spread(nb):
    lines = [c.source.count("\n") + 1 for c in shown(nb)]
    assert 15 <= len(lines) <= 25, len(lines)
    assert statistics.median(lines) < 10, lines
    assert max(lines) <= 40, lines
    kinds = "".join(c.cell_type[0] for c in nb.cells)
    assert "ccc" not in kinds, f"three code cells in a row at cell {kinds.find('ccc')}"


def test_words_are_enough_and_not_too_many(nb):
    text = "\n".join(c.source for c in prose(nb))
    text = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|<[^>]*>", " ", text, flags=re.DOTALL)
    assert 1500 <= len(text.split()) <= 4500, len(text.split())


def test_title_and_setup_have_their_shape(nb, path):
    title, setup = nb.cells[0].source, code(nb)[0].source
    link = f"https://colab.research.google.com/github/{SLUG}/blob/main/notebooks/{path.name}"
    assert title.startswith("# ")
    assert f"[Open in Colab]({link})" in title
    assert setup.startswith(SETUP)
    for call in ("plot.style()", "runtime.seed(0)", f'results.Ledger("{path.stem}")'):
        assert call in setup
    assert len([line for line in setup.split("\n") if line.strip()]) <= 8
    assert not any("pip install" in c.source for c in code(nb)[1:])


def test_claims_are_asserted(nb):
    heads = [i for i, c in enumerate(nb.cells) if re.search(r"^## What we checked", c.source, re.M)]
    assert len(heads) == 1
    assert any("assert " in c.source for c in nb.cells[heads[0] :] if c in shown(nb))
    assert sum(len(re.findall(r"^\s*assert\b", c.source, re.MULTILINE)) for c in shown(nb)) >= 5


def test_every_row_of_the_checklist_has_a_figure(path):
    ledger = json.loads((ROOT / "results/laptop" / f"{path.stem}.json").read_text())
    assert set(ROWS[path.stem].split()) <= {figure["row"] for figure in ledger["figures"]}


def test_the_file_is_small_and_its_cells_have_names(nb, path):
    assert path.stat().st_size < 3_000_000
    assert len({c.id for c in nb.cells}) == len(nb.cells)
    assert nb.metadata.kernelspec.name == "python3"


def test_exercises_are_four_to_six_with_solutions(nb, path):
    found = exercises(nb)
    assert 4 <= len(found) <= 6
    for k, (heading, cell, answer) in enumerate(found, 1):
        assert re.match(rf"### Exercise {int(path.stem[:2])}\.{k} \((\w[\w ]*)\) \S", heading)
        if stub(cell):
            assert {"exercise-solution", "hide-input"} <= set(tags(answer)), heading
        else:
            assert "<details>" in cell.source + answer.source, heading
    assert sum(bool(stub(cell)) for _, cell, _ in found) >= 2
    assert len([c for c in code(nb) if c not in shown(nb)]) == sum(
        bool(stub(cell)) for _, cell, _ in found
    )


def defined_and_asserted(source):
    tree = ast.parse(source)
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return names, [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Assert)]


def test_every_stub_fails_and_every_solution_passes(nb, path, monkeypatch):
    """One run of the chapter, each solution preceded by its stub, all in one kernel."""
    from nbclient import NotebookClient

    monkeypatch.delenv("DGM_RESULTS", raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    stubs = {id(answer): stub(cell) for _, cell, answer in exercises(nb) if stub(cell)}
    cells, pairs = [], []
    for cell in code(nb):
        if id(cell) in stubs:
            cells.append(nbformat.v4.new_code_cell(stubs[id(cell)]))
            pairs.append((cells[-1], cell))
        cells.append(nbformat.v4.new_code_cell(cell.source))
    run = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(run, timeout=300, allow_errors=True, resources=resources).execute()
    raised = {
        c.source: next((o for o in c.outputs if o.output_type == "error"), None) for c in cells
    }
    for attempt, solution in pairs:
        wanted, given = defined_and_asserted(attempt.source), defined_and_asserted(solution.source)
        assert wanted[0] <= given[0]
        assert set(wanted[1]) <= set(given[1]), "the solution must end in the stub's asserts"
        assert wanted[1]
        error = raised.pop(attempt.source)
        assert error is not None, f"passes unsolved:\n{attempt.source}"
        assert error.ename not in {"NameError", "SyntaxError", "ImportError", "IndentationError"}
    assert {s: f"{o.ename}: {o.evalue}" for s, o in raised.items() if o} == {}
