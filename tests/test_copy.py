"""Every system of the zoo as one file: it runs alone, and computes what the zoo's model does."""

import ast
import json
import subprocess
import sys

import pytest
import torch
from test_source import package  # noqa: F401, a fixture

from dgm import copy, zoo
from dgm.distribution.support import Levels
from dgm.source import DGM

NAMES = list(zoo.modules())

# Runs in an interpreter that cannot import dgm, over one folder for each system: the file itself,
# then the model its builder makes from seed 0 with the losses and draws of equal noise.
ALONE = """
import json, os, runpy, sys, traceback
import torch

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "dgm":
            raise ModuleNotFoundError("dgm is out of reach")

sys.meta_path.insert(0, Refuse())
failures = {}
for name in sorted(os.listdir(".")):
    os.chdir(name)
    try:
        runpy.run_path(f"{name}.py", run_name="__main__")
        made = runpy.run_path(f"{name}.py", run_name="copied")
        asked = torch.load("asked.pt", weights_only=True)
        torch.manual_seed(0)
        kind = made[asked["kind"][0]](*asked["kind"][1:])
        model = made[name](kind, **eval(asked["sizes"], made))
        loss = model.loss(*asked["batch"])
        answer = [loss.detach()]
        if hasattr(model, "sample"):
            answer.append(model.sample(3, generator=torch.Generator().manual_seed(1)))
        torch.save(answer, "answer.pt")
    except BaseException:
        failures[name] = traceback.format_exc(limit=-2)
    os.chdir("..")
print(json.dumps(failures))
"""


def batch_of(entry):
    """What a loss of the entry takes, from its tiny model."""
    return list(entry.small(0)[1:])


def asked_of(entry):
    kind = entry.tiny.data
    made = [
        type(kind).__name__,
        tuple(kind.shape),
        *([kind.levels] if isinstance(kind, Levels) else []),
    ]
    sizes = f"dict({', '.join(f'{k}={v!r}' for k, v in entry.tiny.sizes.items())})"
    return {"kind": made, "sizes": sizes, "batch": batch_of(entry)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What went wrong with each exported file, and where their answers lie."""
    folder, failures = tmp_path_factory.mktemp("alone"), {}
    for name in NAMES:
        try:
            text, asked = copy.system(name), asked_of(zoo.get(name))
        except Exception as error:  # one that cannot be written leaves the others
            failures[name] = repr(error)
            continue
        (folder / name).mkdir()
        (folder / name / f"{name}.py").write_text(text)
        torch.save(asked, folder / name / "asked.pt")
    command = [sys.executable, "-I", "-c", ALONE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return failures | json.loads(done.stdout.splitlines()[-1]), folder


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_a_system_runs_alone_and_gives_equal_losses_and_draws(alone, name):
    failures, folder = alone
    assert name not in failures, failures.get(name)
    entry = zoo.get(name)
    torch.manual_seed(0)
    model = entry.build(entry.tiny.data, **entry.tiny.sizes)
    loss, *draws = torch.load(folder / name / "answer.pt", weights_only=True)
    assert torch.equal(model.loss(*batch_of(entry)), loss)
    if hasattr(model, "sample"):
        drawn = model.sample(3, generator=torch.Generator().manual_seed(1))
        assert torch.equal(drawn, draws[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_a_system_needs_torch_and_says_where_it_is_from(name):
    text = copy.system(name)
    tree, entry = ast.parse(text), zoo.get(name)
    imported = {
        module.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in [getattr(node, "module", None) or node.names[0].name]
    }
    assert len(imported - sys.stdlib_module_names - {"torch"}) <= 1
    assert "dgm" not in imported
    assert text.startswith("# MIT License")
    assert all(word in ast.get_docstring(tree) for word in (entry.title, *entry.source))
    for file in entry.files:  # with the words of every file, so with its sources
        assert f"# --- dgm/{file} -" in text
    for word in ("zoo.entry", "Recipe(", "Entry("):
        assert word not in text


def test_docstrings_and_comments_come_along():
    text = copy.system("glow")
    for definition in DGM.reach([("dgm.zoo.flow", "glow")]):
        said = ast.get_docstring(definition.node) if hasattr(definition.node, "body") else None
        assert (said or "").split("\n")[0] in text
    assert "# four times the channels" not in text  # that is another builder's


def test_trained_weights_are_written_and_loaded_with_torch_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    copy.main(["nice", "--weights", "nice.pt"])
    (tmp_path / "nice.py").write_text(capsys.readouterr().out)
    script = (
        "import runpy, torch\n"
        "made = runpy.run_path('nice.py', run_name='__main__')\n"
        "torch.save([made['model'].state_dict(), made['model'].training], 'back.pt')\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, cwd=tmp_path)
    back, training = torch.load("back.pt", weights_only=True)
    weights = zoo.load("nice", "digits").state_dict()
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[key], value) for key, value in weights.items())
    assert not training


def test_an_unknown_name_is_answered_with_near_ones(capsys):
    with pytest.raises(SystemExit, match="no system is called 'glwo'; nearest: glow"):
        copy.main(["glwo"])
    with pytest.raises(SystemExit, match="'glow' has no recipe for 'cifar10'"):
        copy.main(["glow", "--data", "cifar10"])
    assert capsys.readouterr().out == ""


# --- how definitions become one file --------------------------------------------------------------


def one_file(found):
    return copy.together(found, found.reach([("pack.a", "start")]))


def run(text):
    made = {}
    exec(compile(text, "copied", "exec", dont_inherit=True), made)
    return made


@pytest.mark.parametrize(
    "text",
    [
        "from pack.room import far\ndef start():\n    return far.load()",
        "from pack.room.far import load as read\ndef start():\n    return (read(), 'é')[0]",
        "import pack.room.far\ndef start():\n    é = 1; return é * pack.room.far.load()",
        "def start():\n    from pack.room.far import load\n    return load()",
        "def start():\n    import pack.room.far\n    return pack.room.far.load()",
    ],
)
def test_names_lose_their_modules(package, text):  # noqa: F811
    copied = one_file(package(a=text))
    assert "pack." not in "\n".join(line for line in copied.splitlines() if line[:1] != "#")
    assert run(copied)["start"]() == 2


def test_imports_come_once_and_sorted(package):  # noqa: F811
    found = package(
        a="import math\nfrom torch import nn\nfrom pack.b import other\n"
        "def start():\n    return math.pi, nn, other\n",
        b="from math import pi\nfrom torch import Tensor, nn\n"
        "def other():\n    return pi, nn, Tensor\n",
    )
    lines = [line for line in one_file(found).splitlines() if "import" in line]
    assert lines == [
        "from __future__ import annotations",
        "import math",
        "from math import pi",
        "import torch",
        "from torch import Tensor, nn",
    ]


@pytest.mark.parametrize(
    ("b", "message"),
    [
        ("def other(): ...\ndef start(): ...\nother = start", "start is defined in"),
        ("from cmath import pi\ndef other():\n    return pi", "pi means two things"),
        ("start = 1\nfrom math import tau as start\ndef other():\n    return start", "start"),
    ],
)
def test_a_name_that_means_two_things_is_refused(package, b, message):  # noqa: F811
    found = package(
        a="from math import pi\nfrom pack.b import other\ndef start():\n    return pi, other\n", b=b
    )
    with pytest.raises(ValueError, match=message):
        one_file(found)


def test_a_module_that_is_handed_on_is_refused(package):  # noqa: F811
    found = package(a="from pack.room import far\ndef start():\n    return vars(far)")
    with pytest.raises(ValueError, match="far has no name in one file"):
        one_file(found)
