"""What a definition reaches, read from syntax trees: every way a name can lead to another file."""

import textwrap

import pytest

from dgm.source import DGM, Package


@pytest.fixture
def package(tmp_path):
    """A small package in a folder; `write(file, text)` adds to it."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "pack" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return Package(tmp_path / "pack")

    (tmp_path / "pack/room").mkdir(parents=True)
    (tmp_path / "pack/__init__.py").touch()
    (tmp_path / "pack/room/__init__.py").write_text("from pack.room.far import load\n")
    far = "STEP = 2\nOTHER = 3\ndef load():\n    return STEP\ndef unused():\n    return OTHER\n"
    write(room__far=far)
    return write


def names(package, module="pack.a", name="start"):
    return [f"{d.module}.{d.name}" for d in package.reach([(module, name)])]


REACHED = ["pack.room.far.STEP", "pack.room.far.load", "pack.a.start"]


@pytest.mark.parametrize(
    "text",
    [
        "from pack.room.far import load\ndef start():\n    return load()",
        "from pack.room.far import load as read\ndef start():\n    return read()",
        "from pack.room import load\ndef start():\n    return load()",
        "import pack.room.far\ndef start():\n    return pack.room.far.load()",
        "import pack.room.far as far\ndef start():\n    return far.load()",
        "from pack import room\ndef start():\n    return room.load()",
        "from pack import room\ndef start():\n    return room.far.load().real",
        "def start():\n    from pack.room import far\n    return far.load()",
        "def start():\n    def inner():\n        from pack.room.far import load\n"
        "        return load()\n    return inner",
        "from pack.room.far import load\n@load\ndef start(): ...",
        "from pack.room.far import load\ndef start(x=load): ...",
        "from pack.room.far import load\ndef start(x: load): ...",
        "from pack.room.far import load\nclass start(load): ...",
        "from pack.room.far import load\nclass start:\n    x = load\n",
        "from pack.room.far import load\nclass start:\n    def load(self):\n        load()\n",
        "from pack.room.far import load\nstart = [load for x in ()]",
        "from pack.room.far import load\nstart: int = lambda x: load(x)",
        "from pack.room.far import load\ndef start(x):\n    return f'{load(x)}'",
        "from pack.room.far import load\ndef start():\n    global load\n    load = load()",
    ],
)
def test_a_name_is_followed(package, text):
    assert names(package(a=text)) == REACHED


@pytest.mark.parametrize(
    "text",
    [
        "from pack.room.far import load\ndef start(load):\n    return load()",
        "from pack.room.far import load\ndef start():\n    load = 1\n    return load",
        "from pack.room.far import load\ndef start(x):\n    return [load for load in x]",
        "from pack.room.far import load\nstart = lambda load: load",
        "from pack.room.far import load\nclass start:\n    load = 1\n    other = load\n",
        "from pack.room.far import load\ndef start(x):\n    return x.load",
        "from math import load\ndef start():\n    return load()",
    ],
)
def test_a_name_of_its_own_is_not_followed(package, text):
    assert names(package(a=text)) == ["pack.a.start"]


def test_constants_come_with_all_that_changes_them(package):
    found = package(
        a="SIZE = 1\nSIZE += 2\nif SIZE:\n    WIDE = 4\ndef start():\n    return SIZE + WIDE"
    )
    assert [d.text for d in found.reach([("pack.a", "start")])] == [
        "SIZE = 1\n",
        "SIZE += 2\n",
        "if SIZE:\n    WIDE = 4\n",
        "def start():\n    return SIZE + WIDE",
    ]


def test_functions_that_call_each_other_come_once_in_the_order_of_their_file(package):
    found = package(a="def last():\n    return start()\ndef start():\n    return last()\n")
    assert names(found) == ["pack.a.last", "pack.a.start"]


def test_a_module_that_is_handed_on_comes_whole(package):
    found = package(a="from pack.room import far\ndef start():\n    return getattr(far, 'load')()")
    assert names(found)[:-1] == [f"pack.room.far.{n}" for n in ("STEP", "OTHER", "load", "unused")]


def test_comments_above_a_definition_belong_to_it(package):
    found = package(a="x = 1\n# why\n@wraps\ndef start(): ...\n")
    assert found.reach([("pack.a", "start")])[0].text == "# why\n@wraps\ndef start(): ...\n"


def test_following_can_be_told_where_to_stop(package):
    found = package(a="from pack.room.far import load\ndef start():\n    return load()")
    reached = found.reach([("pack.a", "start")], lambda module, name: module == "pack.a")
    assert [d.name for d in reached] == ["start"]


def test_an_unknown_start_is_named(package):
    with pytest.raises(ValueError, match=r"pack\.a defines no 'begin'"):
        package(a="start = 1").reach([("pack.a", "begin")])


def test_the_training_loop_reaches_its_checkpoints_and_not_the_zoo():
    reached = {(d.module, d.name) for d in DGM.reach([("dgm.train", "fit")])}
    assert ("dgm.train.loop", "fit") in reached
    assert ("dgm.train.progress", "Progress") in reached
    assert not {module for module, _ in reached if module.startswith("dgm.zoo")}
