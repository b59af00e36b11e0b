"""Every chapter keeps the rules of the book and is fresh.

That it runs, that its exercises fail unsolved and pass solved: nbval, with notebooks/conftest.py.
"""

import ast
import importlib.util
import json
import pathlib
import re

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("notebooks/*.ipynb"))
SLUG = "-OWNER/REPO"
SETUP = f"""try:
    import dgm
except ModuleNotFoundError:
    %pip install -q https://github.com/{SLUG}/archive/main.zip
"""
ROWS = {  # the checklist rows a chapter must record at least one figure for
    "01_joint_and_likelihood": "F1 F2 F3 F4 F5 F6 F7 F8",
    "02_mixtures_and_unbounded_likelihood": "F15 F9 O4",
    "03_linear_codes": "R1 R4 R6 R7",
    "04_autoencoders": "R2 R3 R5 V18",
    "05_vae": "V1 V2 V4 V5 R11",
    "06_posteriors_and_priors": "V20",
    "07_hierarchical_vae": "V3 V17",
    "08_discrete_codes": "V9",
    "09_latent_geometry": "V14 V15 V16",
    "10_autoregressive": "A1 A4 A7 A8",
    "11_pixel_models": "A2 A3 A4",
    "12_sequences": "A5 A6 A8",
    "13_coupling_flows": "N1 N2 N3 N4 N5 N15",
    "14_residual_flows": "N7 N8 N9 N10 N12",
    "15_structured_and_continuous_flows": "N6 N13",
    "16_gan": "G1 G2 G3 G4 G5",
    "17_classical_energy": "E4 E5 E6 E7",
    "18_deep_energy": "E1 E2 E3 E8 E15",
    "19_score_and_diffusion": "E9 V21",
    "20_jem": "E10 E12 E13 E14 E16",
    "21_hybrid_models": "F3 N14 V12 V13 V19 V22 E11",
    "22_representation": "F10 F11 R5 R8 R9 R10 R12 A9 E16",
    "23_disentanglement": "V6 V7 V8 D1 D2 D3 D4 D5 D6 R8",
    "24_fair_and_invariant": "V10 V13",
    "25_robust_classification": "V11 O2 O3 E14",
    "26_out_of_distribution": "O1",
    "27_compression": "F12 F13 O5",
    "28_all_families": "F14 N11 E11 E17",
}
# What a front end other than the book shows raw: MyST roles and directives, macros of the book.
UNPORTABLE = r"\\(eqref|label|ref|KL|E)\b|\{(math|cite|ref|eq|numref|doc)[:}]|^(```\{|:::)"
FOLDED = {"hide-cell", "hide-input", "exercise-solution"}  # a reader sees their code on demand
LINK = r"\[✓\]\(#claim-([\w-]+)\)"
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


def taught(nb):
    """Code cells whose code a reader sees."""
    return [c for c in code(nb) if not FOLDED & set(tags(c))]


def module(name):
    spec = importlib.util.spec_from_file_location(pathlib.Path(name).stem, ROOT / name)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


STALE = module("tools/stale.py")
EXERCISES = module("notebooks/conftest.py")


def test_there_are_chapters():
    assert CHAPTERS


def test_chapter_is_fresh(nb, path):
    """Neither its code nor the part of dgm its numbers rest on changed (else: make notebooks)."""
    assert STALE.why_stale(path.stem, nb) is None


def test_it_was_run_from_the_top_in_one_go(nb):
    assert [c.execution_count for c in code(nb)] == list(range(1, len(code(nb)) + 1))


def test_every_compared_cell_has_a_stored_output(nb):
    compared = [c for c in code(nb) if "nbval-check-output" in tags(c)]
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


def test_no_value_is_shown_by_accident(nb):
    """What the last line of a cell returns, a module or the limits of an axis, is no output."""
    for cell, out in outputs(nb):
        by_accident = out.output_type == "execute_result" and set(out.data) == {"text/plain"}
        assert not by_accident, f"{out.data['text/plain'][:80]} below {cell.source[-80:]}"


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
            if 'aria-hidden="true"' not in image:  # the same picture again, another part shown
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
    """What a reader sees: a cell fits on a screen, a chapter has about 250 lines (style.md)."""
    lines = [c.source.count("\n") + 1 for c in taught(nb)]
    assert max(lines) <= 40, lines
    assert sum(lines) <= 260, sum(lines)
    kinds = "".join(c.cell_type[0] for c in nb.cells if not FOLDED & set(tags(c)))
    assert "ccc" not in kinds, f"three code cells in a row at cell {kinds.find('ccc')}"


def test_teaching_cells_teach(nb):
    """No bookkeeping, one statement a line, no dictionary algebra where a reader looks."""
    for cell in taught(nb)[1:]:  # the setup makes the ledger
        assert not re.search(r"\bledger\.|\bclaims\.(?!show)", cell.source), cell.source
    for cell in taught(nb):
        source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
        body = ast.parse(source).body
        for node in body[:-1]:  # the last may be what the cell shows
            assert not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple)), source
        for node in ast.walk(ast.parse(source)):
            merged = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr)
            assert not (merged and isinstance(node.value, ast.Call)), source


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
    for call in ("plot.style()", "runtime.seed(0)"):
        assert call in setup
    assert len([line for line in setup.split("\n") if line.strip()]) <= 9  # four of them install
    opened = "".join(c.source for c in code(nb)[:2])  # the second may be folded
    assert f'results.Ledger("{path.stem}")' in opened
    assert not any("pip install" in c.source for c in code(nb)[1:])


def test_claims_are_asserted(nb, path):
    heads = [i for i, c in enumerate(nb.cells) if re.search(r"^## What we checked", c.source, re.M)]
    assert len(heads) == 1
    shows = [c for c in nb.cells[heads[0] :] if re.search(r"^claims\.show\(\)", c.source, re.M)]
    assert len(shows) == 1
    assert "hide-cell" not in tags(shows[0])  # its code may be folded, its table not
    assert "nbval-check-output" not in tags(shows[0])  # measured values differ between machines
    assert len(claimed(nb)) >= 5


def claimed(nb):
    """The ids of the rows that the page shows under "What we checked"."""
    html = "".join(o.get("data", {}).get("text/html", "") for _, o in outputs(nb))
    return re.findall(r'<tr id="claim-([\w-]+)"', html)


def test_every_claim_is_linked_from_a_sentence_and_every_link_has_its_claim(nb, path):
    links = [found for c in prose(nb) for found in re.findall(LINK, c.source)]
    assert set(links) == set(claimed(nb))
    assert "FAILS" not in str(nb)
    ledger = json.loads((ROOT / "results/laptop" / f"{path.stem}.json").read_text())
    assert [claim["id"] for claim in ledger["claims"]] == claimed(nb)


def test_every_row_of_the_checklist_has_a_figure(path):
    ledger = json.loads((ROOT / "results/laptop" / f"{path.stem}.json").read_text())
    assert set(ROWS[path.stem].split()) <= {figure["row"] for figure in ledger["figures"]}


def test_the_file_is_small_and_its_cells_have_names(nb, path):
    assert path.stat().st_size < 3_000_000
    assert len({c.id for c in nb.cells}) == len(nb.cells)
    assert nb.metadata.kernelspec.name == "python3"


def test_exercises_are_four_to_six_with_solutions(nb, path):
    found = EXERCISES.exercises(nb)
    stubs = [EXERCISES.stub(cell) for _, cell, _ in found]
    assert 4 <= len(found) <= 6
    for k, (heading, cell, answer) in enumerate(found, 1):
        assert re.match(rf"### Exercise {int(path.stem[:2])}\.{k} \((\w[\w ]*)\) \S", heading)
        if stubs[k - 1]:
            assert {"exercise-solution", "hide-input"} <= set(tags(answer)), heading
        else:
            assert "<details>" in cell.source + answer.source, heading
    assert sum(map(bool, stubs)) >= 2
    assert len([c for c in code(nb) if c not in shown(nb)]) == sum(map(bool, stubs))


def defined_and_asserted(source):
    tree = ast.parse(source)
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return names, [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Assert)]


def test_a_solution_defines_and_asserts_what_its_stub_does(nb):
    """So that a stub that fails and a solution that passes differ in what the reader writes."""
    for _, cell, answer in EXERCISES.exercises(nb):
        if EXERCISES.stub(cell):
            wanted = defined_and_asserted(EXERCISES.stub(cell))
            given = defined_and_asserted(answer.source)
            assert wanted[0] <= given[0]
            assert set(wanted[1]) <= set(given[1]), "the solution must end in the stub's asserts"
            assert wanted[1]
