"""Data sets: splits are exact, sprites obey their factors, bad names and options are refused."""

import math
import subprocess
import sys

import pytest
import torch

from dgm import data
from dgm.data.sequences import mu_law
from dgm.data.sprites import SpriteGrid

DOWNLOADED = data.names().index("mnist")
EMBEDDED = data.names()[:DOWNLOADED]


def test_every_embedded_set_is_as_documented_repeats_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    for name in EMBEDDED:
        d, again = data.load(name), data.load(name)
        assert d.name == name
        assert d.source
        assert d.dims == math.prod(d.shape)
        for part in ("train", "val", "test"):
            x, y = getattr(d, part), getattr(d, f"{part}_y")
            assert x.shape[1:] == d.shape
            assert torch.equal(x, getattr(again, part))
            assert len(x) > 0 or (name.endswith("mnist_test") and part != "test")
            assert y is None or (len(y) == len(x) and y.dtype == torch.int64)
            if d.levels is None:
                assert x.dtype == torch.float32
            else:
                assert x.dtype in (torch.uint8, torch.int64)
                assert all(0 <= value < d.levels for value in x.unique().tolist())
    assert torch.equal(before, torch.get_rng_state())


def test_digits_are_split_in_order():
    from sklearn.datasets import load_digits

    d, bunch = data.load("digits"), load_digits()
    assert (len(d.train), len(d.val), len(d.test)) == (1000, 350, 447)
    assert torch.equal(
        torch.cat((d.train, d.val, d.test)).flatten(1), torch.from_numpy(bunch.data).byte()
    )
    assert torch.equal(torch.cat((d.train_y, d.val_y, d.test_y)), torch.from_numpy(bunch.target))
    assert d.train.max() == 16


def test_patches_of_the_three_parts_share_no_column(monkeypatch):
    import numpy as np
    import sklearn.datasets

    band = np.broadcast_to(np.arange(640)[None, :, None] // 64, (427, 640, 3)).astype(np.uint8)
    photos = type("Bunch", (), {"images": [band, band]})
    monkeypatch.setattr(sklearn.datasets, "load_sample_images", lambda: photos)
    d = data.load("patches", color=True, size=16)
    bands = [set(part.unique().tolist()) for part in (d.train, d.val, d.test)]
    assert bands == [{0, 2, 4, 5, 7, 9}, {1, 6}, {3, 8}]
    assert all((part == part[:, :1, :1, :1]).all() for part in (d.train, d.val, d.test))


def test_text_decodes_to_the_help_pages():
    from pydoc_data.topics import topics

    d = data.load("text", length=50)
    pages = "\n".join(topics[key] for key in sorted(topics))
    plain = "".join(c if c == "\n" or 32 <= ord(c) < 127 else "?" for c in pages)
    assert d.decode(torch.cat((d.train, d.val, d.test)).flatten()) == plain[: len(plain) // 50 * 50]


def test_dsprites_grid_is_exact_and_in_its_order():
    grid = SpriteGrid()
    assert len(grid) == 737_280
    index = torch.randint(len(grid), (1000,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(grid.index(grid.factors(index)), index)
    powers = grid.factors(torch.tensor([737_279, 245_760, 40_960, 1024, 32, 1]))
    assert powers[0].tolist() == [2, 5, 39, 31, 31]
    assert torch.equal(powers[1:], torch.eye(5, dtype=torch.int64))
    values = grid.values(torch.tensor([[2, 5, 39, 31, 0]]))
    assert values[0].tolist() == pytest.approx([2, 1, 2 * math.pi, 1, 0], abs=1e-15)
    images = grid[index]
    assert images.shape == (1000, 1, 64, 64)
    border = torch.ones(64, 64, dtype=torch.bool)
    border[3:-3, 3:-3] = False
    assert images[:, 0, border].sum() == 0  # nothing is ever cut off
    squares = grid.draw(torch.tensor([[0, 0, 0, 0, 0], [0, 5, 0, 0, 0]]))
    assert squares.flatten(1).sum(1).tolist() == [100, 324]  # as counted in the published preview


def test_each_sprite_factor_changes_only_what_it_should():
    base = torch.tensor([[shape, 3, 1, 0, 0] for shape in range(3)])
    moves = SpriteGrid((3, 6, 4, 33, 33))  # one pixel a step
    still = moves.draw(base)
    for factor, dim in ((3, 3), (4, 2)):
        moved = base.clone()
        moved[:, factor] = 32
        assert torch.equal(moves.draw(moved), still.roll(32, dim))
    turns = SpriteGrid((3, 6, 4, 3, 3), closed=False)
    upright, turned = (
        turns.draw(torch.tensor([[s, 5, k, 1, 1] for s in range(3)])) for k in (0, 1)
    )
    assert torch.equal(turned, upright.rot90(-1, (2, 3)))
    large = SpriteGrid((3, 6, 7, 3, 3), size=256, closed=False)
    for shape in range(3):
        factors = torch.tensor([[shape, k, 1, 1, 1] for k in range(6)])
        area, scale = large.draw(factors).double().mean((1, 2, 3)), large.values(factors)[:, 1]
        assert (area / scale**2 / area[-1] - 1).abs().max() < 0.02


def test_sprites_parts_are_disjoint_and_make_up_the_grid():
    d = data.load("sprites")
    grid = SpriteGrid((3, 4, 9, 8, 8), 32, closed=False)
    numbers = torch.cat([grid.index(y) for y in (d.train_y, d.val_y, d.test_y)])
    assert torch.equal(numbers.sort().values, torch.arange(6912))
    assert torch.equal(d.val, grid.draw(d.val_y))
    assert len(torch.unique(torch.cat((d.train, d.val, d.test)).flatten(1), dim=0)) > 6800
    some = data.load("sprites", n=80, counts=(3, 6, 40, 32, 32), size=64, closed=True)
    assert (len(some.train), len(some.val), len(some.test)) == (80, 10, 10)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digit", {}, "nearest: digits"),
        ("moon", {}, "moons"),
        ("moons", {"noize": 1}, "no option 'noize'.*noise"),
        ("moons", {"noise": -1}, "noise must be"),
        ("moons", {"noise": float("nan")}, "noise must be"),
        ("rings", {"n": 0}, "n must be"),
        ("rings", {"seed": -1}, "seed must be"),
        ("rings", {"n_rings": 9}, "n_rings must be"),
        ("bars", {"side": 5}, "side must be"),
        ("bars", {"flip": 0}, "flip must be"),
        ("integer_grid", {"of": "mnist"}, "of must be"),
        ("sprites", {"n": 10**6}, "only 6912"),
        ("sprites", {"counts": (4, 1, 1, 1, 1)}, "counts must be"),
        ("patches", {"size": 65}, "size must be"),
        ("text", {"length": 10**6}, "too long"),
        ("ar2", {"radius": 1.0}, "radius must be"),
        ("audio", {"levels": 1}, "levels must be"),
    ],
)
def test_bad_names_and_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        data.load(name, **options)


def test_importing_the_data_package_is_cheap():
    heavy = {"sklearn", "pooch", "scipy", "PIL", "requests"}
    code = f"import sys, dgm.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_mu_law_spends_its_levels_near_silence():
    x = torch.linspace(-1, 1, 10_001)
    tokens = mu_law(x)
    assert (tokens.min(), tokens.max()) == (0, 255)
    assert (tokens.diff() >= 0).all()
    assert mu_law(torch.tensor([0.0])).item() == 128
    assert (x[tokens == 128].abs() < 0.001).all()


def test_what_mnist_is_of_is_known_without_a_download(monkeypatch):
    monkeypatch.setenv("DGM_DATA", "/nowhere")
    for name in ("mnist", "binary_mnist"):
        found, shipped = data.kind(name), data.load(f"{name}_test").kind
        assert (found.shape, found.levels) == (shipped.shape, shipped.levels)
    assert data.kind("digits").levels == 17
    with pytest.raises(ValueError, match="no data set is called 'mnits'"):
        data.kind("mnits")
