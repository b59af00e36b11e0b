"""Fingerprints see what made the weights and nothing else, and are equal under every Python."""

import ast
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import dgm
from dgm import zoo
from dgm.runtime import derived_seed
from dgm.source import Package
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
# Runs under any Python, without any package: the digest of every file's text, by name, and of the
# sample; and the two hashes of every system that is asked for.
SCRIPT = """
import ast, hashlib, importlib.util, json, pathlib, sys, types
file, root, sample, asked = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(root).parent))
spec = importlib.util.spec_from_file_location("fingerprint", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
def digest(text):
    return hashlib.sha256(module.tree_text(ast.parse(text)).encode()).hexdigest()
files = sorted(pathlib.Path(root).rglob("*.py"))
found = {str(f): digest(f.read_text(encoding="utf-8")) for f in files}
def hashes(module_name, name, data_name):
    class made:  # an entry without its module, which needs torch
        def __init__(self, **names): vars(self).update(names)
    build, train = made(__module__=module_name, __qualname__=name), made(
        __module__="dgm.zoo.entry", __qualname__="start_and_fit")
    recipe = made(sizes=dict(a=(1, .5, None)), fit={}, data={}, of="", seeds=3, train=train)
    entry = made(build=build, recipes={data_name: recipe})
    return [module.recipe_hash(entry, data_name), module.code_hash(entry, data_name)]
asked = [hashes(*one) for one in json.loads(asked)]
print(json.dumps([found, digest(sample), asked]))
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


@functools.cache
def digests(python):
    asked = [(f"dgm.zoo.{room}", name, "digits") for name, room in zoo.modules().items()]
    script = [python, "-c", SCRIPT, fingerprint.__file__, str(PACKAGE), SAMPLE, json.dumps(asked)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(script, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("version", "python"), interpreters().items())
def test_every_python_reads_the_same_text_out_of_our_code(version, python):
    here, _, hashes = digests(sys.executable)
    there, sample, those = digests(python)
    assert sample[:16] == GOLDEN, "the text changed: every committed weight file is refused"
    assert there == here
    assert those == hashes


def test_text_holds_values_that_are_none_and_leaves_optional_fields_out():
    text = fingerprint.tree_text(ast.parse("def f(a=None): return"))
    assert "Constant(value=None)" in text
    assert "Return()" in text
    assert "type_params" not in text


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the code alone."""
    folder = tmp_path_factory.mktemp("copied") / "dgm"
    shutil.copytree(PACKAGE, folder, ignore=lambda _, names: [
        n for n in names if "." in n and not n.endswith(".py")
    ])  # fmt: skip
    return folder


@pytest.fixture
def planted(copied):
    """Hashes of a recipe in the copy where one text stands for another, until it is put back."""

    def hashes(name, data_name, file=None, old="", new=""):
        path = copied / (file or "zoo/__init__.py")
        text = path.read_text()
        assert text.count(old) >= 1, f"{file} does not hold {old!r} any more: plant another"
        path.write_text(text.replace(old, new, 1) if file else text)
        entry, package = zoo.get(name), Package(copied)
        try:
            recipe = fingerprint.recipe_hash(entry, data_name, package)
            return recipe, fingerprint.code_hash(entry, data_name, package)
        finally:
            path.write_text(text)

    return hashes


@functools.cache
def original(name):
    """Hashes of the code as it is; that a copy of it has the same is a test of its own."""
    entry = zoo.get(name)
    recipe = fingerprint.recipe_hash(entry, "digits")
    return recipe, fingerprint.code_hash(entry, "digits")


KL = "return self.beta * kl -"
GLOW = "def glow(\n    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32"
RECIPE, CODE = [True, False], [False, True]
FAULTS = {
    "dropout in a helper": ("glow", "zoo/flow.py", "dropout=dropout", "dropout=0.9", RECIPE),
    "a default of the builder": ("glow", "zoo/flow.py", GLOW,
                                 GLOW.replace("32", "33"), RECIPE),
    "constant of the logit": ("glow", "flow/elementwise.py", "alpha: float = 0.05",
                              "alpha: float = 0.06", CODE),
    "constant of a module": ("vae", "vae/vae.py", "ROWS_AT_ONCE = 2048", "ROWS_AT_ONCE = 2", CODE),
    "7 * kl in the loss": ("vae", "vae/vae.py", KL, KL.replace("self.beta", "7"), CODE),
    "smoothing at the start": ("vae", "distribution/support.py", "pseudo_count: float = 0.5",
                               "pseudo_count: float = 0.6", CODE),
    "split of the digits": ("vae", "data/images.py", "(1000, 350, 447)", "(1001, 349, 447)", CODE),
    "step of the training": ("vae", "train/loop.py", "loss.backward()", "(2 * loss).backward()",
                             CODE),
    "how most recipes start": ("glow", "zoo/entry.py", "model.start_from(dataset.train)",
                               "model.start_from(dataset.val)", CODE),
    "the seed": ("glow", "runtime.py", "torch.manual_seed(n)", "torch.manual_seed(n + 1)", CODE),
}  # fmt: skip


@pytest.mark.parametrize(("name", "file", "old", "new", "moves"), FAULTS.values(), ids=FAULTS)
def test_what_makes_other_weights_moves_a_hash(planted, name, file, old, new, moves):
    before, after = original(name), planted(name, "digits", file, old, new)
    assert [a != b for a, b in zip(before, after, strict=True)] == moves


def test_the_planted_copy_hashes_as_the_original(planted):
    assert planted("glow", "digits") == original("glow")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("zoo/flow.py", '"""Glow: steps', '"""Glow: many steps'),
        ("flow/elementwise.py", '"""Open the box:', '"""Close the box:'),
        ("flow/elementwise.py", "class Logit", "# a comment\nclass Logit"),
        ("flow/elementwise.py", "import math", "import math\nUNUSED = 1"),
        ("zoo/flow.py", '"""RealNVP:', '"""NVP:'),
        ("autoregressive/autoregressive.py", "math.log(len(each))", "0"),
        ("data/sprites.py", "return", "return None and"),
        ("zoo/train.py", "else 4", "else 5"),
    ],
)
def test_words_and_other_models_move_nothing(planted, file, old, new):
    assert original("glow") == planted("glow", "digits", file, old, new)


def test_settings_sizes_data_and_seeds_are_of_the_recipe():
    entry = zoo.get("glow")
    recipe = entry.recipes["digits"]
    changes = [
        dict(sizes={**recipe.sizes, "width": 29}),
        dict(fit={**recipe.fit, "lr": 0.1}),
        dict(data={"n": 3}),
        dict(seeds=recipe.seeds + 1),
        dict(train=planted),
        dict(fit={**recipe.fit, "optimizer": functools.partial(dict, a=1)}),
    ]
    variants = [recipe, *(replace(recipe, **change) for change in changes)]
    variants = [replace(entry, recipes={"digits": variant}) for variant in variants]
    assert len({fingerprint.recipe_hash(variant, "digits") for variant in variants}) == 7
    worth = replace(entry, recipes={"digits": replace(recipe, worth=7.0, scale="gpu")})
    assert fingerprint.recipe_hash(worth, "digits") == fingerprint.recipe_hash(entry, "digits")


def test_a_function_among_the_settings_is_followed():
    entry = zoo.get("glow")
    recipe = entry.recipes["digits"]
    fit = dict(recipe.fit, augment=functools.partial(derived_seed, 3))
    other = replace(entry, recipes={"digits": replace(recipe, fit=fit)})
    starts = fingerprint._starts(other, other.recipes["digits"])
    assert ("dgm.runtime", "derived_seed") in starts


def test_a_setting_without_a_name_is_refused():
    with pytest.raises(ValueError, match="needs a name"):
        fingerprint.value_text({"augment": lambda x: x})
