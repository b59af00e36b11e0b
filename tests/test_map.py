"""The map of generative models: complete, and every leaf leads somewhere."""

import ast
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dgm import zoo
from dgm.plot import tree as tree_of_models
from dgm.plot.tree import model_map

ROOT = Path(__file__).parents[1]
ENTRIES = zoo.entries()
FLOW = ("explicit", "exact", "flow")


@dataclasses.dataclass(frozen=True)
class Leaf:
    """What the map asks of a system."""

    name: str = "nice"
    branch: tuple = FLOW
    files: tuple = ("flow/flow.py", "flow/coupling.py", "distribution/support.py")
    title: str = "NICE <1>"
    chapter: str = "13_coupling_flows"


class Outline(HTMLParser):
    """Links with their text, and whether every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "a":
            self.links.append([dict(attributes)["href"], ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "a" in self.open:
            self.links[-1][1] += data


@pytest.mark.parametrize("name", ENTRIES)
def test_leaf_leads_to_its_chapter_and_to_code_that_can_be_read(name):
    chapter, files = tree_of_models.targets(ENTRIES[name])
    assert (ROOT / chapter).is_file(), chapter
    assert files
    for file in files:
        tree = ast.parse((ROOT / file).read_text())
        defined = [n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
        assert defined, f"{file} defines nothing"


def test_every_system_of_the_zoo_is_on_the_map():
    links = Outline(model_map(ENTRIES.values(), link=lambda path: path).data).links
    titles = {text for _, text in links}
    assert {e.title for e in ENTRIES.values()} <= titles
    expected = {
        p
        for e in ENTRIES.values()
        for p in (tree_of_models.targets(e)[0], *tree_of_models.targets(e)[1])
    }
    assert {href for href, _ in links} == expected


def test_all_families_stand_on_the_map_even_without_a_leaf():
    page = Outline(model_map([Leaf()]).data)
    text = " ".join(page.text)
    for title, _ in tree_of_models.NODES.values():
        assert title in text
    assert text.count("chapter to come") == len(tree_of_models.families()) - 1
    assert [label for _, label in page.links] == ["NICE <1>", "flow.py", "coupling.py"]
    assert page.open == []


def test_default_links_work_from_a_notebook_of_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    links = Outline(model_map([Leaf()]).data).links
    assert links[1][0] == "../dgm/flow/flow.py"
    assert (Path.cwd() / links[1][0]).is_file()


def test_leaf_hangs_under_its_family():
    html = model_map([Leaf(branch=("implicit", "adversarial"))]).data
    assert html.index("Adversarial networks") < html.index("NICE")
    assert "Flows" in html[: html.index("NICE")]


def test_map_stays_folded_so_that_it_is_one_screen():
    page = model_map(ENTRIES.values(), link=lambda path: path).data
    rows = page.count('class="dgm-row"') + page.count("dgm-row dgm-later")
    assert rows == len(tree_of_models.families()) <= 16  # 36 pixels each
    assert "<details open" not in page
    for branch in {entry.branch for entry in ENTRIES.values()}:
        assert f'id="{tree_of_models.family_id(branch)}"' in page  # a link to it opens the family


def test_neighbouring_chapters_are_joined():
    assert tree_of_models.spans(["10", "1", "12", "11", "5"]) == "1, 5, 10–12"


def test_branches_form_a_tree():
    for branch in tree_of_models.NODES:
        assert len(branch) == 1 or branch[:-1] in tree_of_models.NODES


@pytest.mark.parametrize("branch", [("explicit", "exact", "flows"), ("explicit", "exact"), ()])
def test_unknown_branch_is_named_with_what_is_allowed(branch):
    with pytest.raises(ValueError, match=r"'nice'.*explicit/exact/flow, "):
        model_map([Leaf(branch=branch)])


def test_map_asks_nothing_of_another_host():
    html = model_map([Leaf()], link=lambda path: path).data
    assert not re.search(r"https?:|//|<script|@import|url\(", html)
