"""Your own data: read as they are, cut once, refused with the file, row and column named."""

import numpy as np
import pytest
import torch

from dgm.data.own import from_array, from_folder, from_table
from dgm.distribution.support import Levels, Reals


def rows_of(dataset):
    return torch.cat((dataset.train, dataset.val, dataset.test))


def test_an_array_of_pictures_becomes_channels_first_bytes_and_no_row_is_lost():
    x = np.random.default_rng(0).integers(0, 256, (50, 6, 5), np.uint8)
    d = from_array(x, np.arange(50) % 3)
    assert d.kind == Levels((1, 6, 5), 256)
    assert (len(d.train), len(d.val), len(d.test)) == (40, 5, 5)
    assert d.train.dtype == torch.uint8
    there = {tuple(row.flatten().tolist()) for row in rows_of(d)}
    assert there == {tuple(row.flatten().tolist()) for row in x}
    labels = {tuple(row.flatten().tolist()): k % 3 for k, row in enumerate(x)}
    for row, y in zip(d.val, d.val_y, strict=True):
        assert labels[tuple(row.flatten().tolist())] == int(y)


def test_the_seed_decides_the_cut():
    x = torch.arange(60).view(30, 2)
    one, same, other = (from_array(x, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.train, same.train)
    assert not torch.equal(one.train, other.train)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((20, 4, 6, 3), Levels((3, 4, 6), 256)),
        ((20, 3, 4, 6), Levels((3, 4, 6), 256)),
        ((20, 4, 6, 1), Levels((1, 4, 6), 256)),
    ],
)
def test_channels_are_found_wherever_they_are(shape, kind):
    assert from_array(np.full(shape, 7, np.uint8)).kind == kind


def test_levels_sequences_and_reals():
    assert from_array(torch.arange(40).view(10, 4) % 7).kind == Levels((4,), 7)
    assert from_array(torch.randint(2, (20, 3, 3)), levels=2).kind == Levels((1, 3, 3), 2)
    assert from_array(np.ones((20, 3))).kind == Reals((3,))
    assert from_array(np.ones((20, 4, 4), bool)).kind == Levels((1, 4, 4), 2)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.ones(3, 2), {}, "enough for three parts"),
        (torch.ones(30), {}, "rows of examples"),
        (torch.full((20, 2), 9), {"levels": 5}, "0 .. 4, got values 9 .. 9"),
        (-torch.ones(20, 2).long(), {}, "got values -1"),
        (torch.tensor([[0.0, 1.0]] * 19 + [[0.0, float("nan")]]), {}, "in row 19"),
        (torch.ones(20, 2), {"y": [1, 2]}, "one label for each of 20 rows"),
        (torch.ones(20, 2), {"held_out": 0.6}, "held_out"),
        (torch.ones(20, 2, 3, 4, 5).long(), {}, "2 or 3 axes"),
    ],
)
def test_bad_arrays_are_refused_with_what_is_wrong(x, options, message):
    with pytest.raises(ValueError, match=message):
        from_array(x, **options)


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for kind in ("cats", "dogs"):
        (tmp_path / kind).mkdir()
        for k in range(6):
            pixels = rng.integers(0, 256, (5, 4, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{k}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_of_pictures_with_labels_from_its_subfolders(pictures):
    from PIL import Image

    d = from_folder(pictures, color=True)
    assert d.kind == Levels((3, 5, 4), 256)
    assert len(rows_of(d)) == 12
    y = torch.cat((d.train_y, d.val_y, d.test_y))
    stored = {rows_of(d)[k].numpy().tobytes(): int(y[k]) for k in range(12)}
    for label, kind in enumerate(("cats", "dogs")):
        for file in (pictures / kind).iterdir():
            pixels = np.asarray(Image.open(file)).transpose(2, 0, 1)
            assert stored[np.ascontiguousarray(pixels).tobytes()] == label
    assert from_folder(pictures, size=(3, 2)).kind == Levels((1, 3, 2), 256)
    few = from_folder(pictures, levels=4)
    assert few.kind.levels == 4
    assert rows_of(few).max() == 3


def test_pictures_of_two_sizes_and_damaged_ones_are_named(pictures):
    from PIL import Image

    Image.new("L", (9, 9)).save(pictures / "dogs/odd.png")
    with pytest.raises(ValueError, match=r"odd\.png is \(9, 9\).*give size"):
        from_folder(pictures)
    assert len(rows_of(from_folder(pictures, size=(5, 4)))) == 13
    (pictures / "dogs/odd.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"odd\.png is no picture"):
        from_folder(pictures)
    with pytest.raises(ValueError, match="no pictures below"):
        from_folder(pictures / "nowhere")


def test_a_table_is_read_by_column_and_errors_name_line_and_column(tmp_path):
    file = tmp_path / "t.csv"
    lines = [f"{k},{2 * k},word" for k in range(20)]
    file.write_text("\n".join(["a,b,c", *lines]))
    d = from_table(file, columns=["b", "a"])
    assert d.kind == Reals((2,))
    both = rows_of(d)
    assert torch.equal(both[:, 0], 2 * both[:, 1])
    assert sorted(both[:, 1].tolist()) == list(range(20))
    with pytest.raises(ValueError, match=r"line 2, column 'c': 'word' is no number"):
        from_table(file)
    with pytest.raises(ValueError, match=r"no column \['d'\]"):
        from_table(file, columns=["d"])
