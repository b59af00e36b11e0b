"""The map of generative models: complete, and every leaf leads somewhere."""

import ast
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dgm import zoo
from dgm.zoo import map as zoo_map
from dgm.zoo.entry import Entry

ROOT = Path(__file__).parents[1]
ENTRIES = zoo.entries()
FLOW = ("explicit", "exact", "flow")


def entry(name="nice", branch=FLOW, files=("flow/flow.py", "flow/coupling.py"), title="NICE <1>"):
    return Entry(
        name=name, title=title, family="flow", build=None, files=files,
        chapter="13_coupling_flows", rows=("N1",), paper="Dinh et al. (2014)",
        url="https://arxiv.org/abs/1410.8516", branch=branch, tiny=None,
    )  # fmt: skip


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
    chapter, files = zoo_map.targets(ENTRIES[name])
    assert (ROOT / chapter).is_file(), chapter
    assert files
    for file in files:
        tree = ast.parse((ROOT / file).read_text())
        defined = [n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
        assert defined, f"{file} defines nothing"


def test_every_system_of_the_zoo_is_on_the_map():
    links = Outline(zoo_map.figure(link=lambda path: path).data).links
    titles = {text for _, text in links}
    assert {e.title for e in ENTRIES.values()} <= titles
    expected = {
        p for e in ENTRIES.values() for p in (zoo_map.targets(e)[0], *zoo_map.targets(e)[1])
    }
    assert {href for href, _ in links} == expected


def test_all_families_stand_on_the_map_even_without_a_leaf():
    page = Outline(zoo_map.figure(entries=[entry()]).data)
    text = " ".join(page.text)
    for title, _ in zoo_map.NODES.values():
        assert title in text
    assert text.count("chapter to come") == len(zoo_map._families()) - 1
    assert [label for _, label in page.links] == ["NICE <1>", "flow.py", "coupling.py"]
    assert page.open == []


def test_default_links_work_from_a_notebook_of_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    links = Outline(zoo_map.figure(entries=[entry()]).data).links
    assert links[1][0] == "../dgm/flow/flow.py"
    assert (Path.cwd() / links[1][0]).is_file()


def test_leaf_hangs_under_its_family():
    html = zoo_map.figure(entries=[entry(branch=("implicit", "adversarial"))]).data
    assert html.index("Adversarial networks") < html.index("NICE")
    assert "Flows" in html[: html.index("NICE")]


def test_branches_form_a_tree():
    for branch in zoo_map.NODES:
        assert len(branch) == 1 or branch[:-1] in zoo_map.NODES


@pytest.mark.parametrize("branch", [("explicit", "exact", "flows"), ("explicit", "exact"), ()])
def test_unknown_branch_is_named_with_what_is_allowed(branch):
    with pytest.raises(ValueError, match=r"'nice'.*explicit/exact/flow, "):
        zoo_map.figure(entries=[dataclasses.replace(entry(), branch=branch)])


def test_map_asks_nothing_of_another_host():
    html = zoo_map.figure(link=lambda path: path, entries=[entry()]).data
    assert not re.search(r"https?:|//|<script|@import|url\(", html)
