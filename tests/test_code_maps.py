"""Pictures of code maps: a colour for each code, cells of a codebook, bars made of parts."""

import pytest
import torch
from matplotlib import pyplot as plt

from dgm.plot.code_maps import cells, code_colours, code_pictures, stacked_shares


def test_near_vectors_have_near_colours_and_no_two_are_equal():
    line = torch.linspace(0, 1, 9)[:, None] * torch.tensor([3.0, 1.0, 0.0, 2.0])
    rgb = code_colours(line)
    assert rgb.shape == (9, 3)
    assert 0 <= rgb.min() <= rgb.max() <= 1
    steps = rgb[:, 0].diff()
    assert (steps > 0).all() or (steps < 0).all()
    assert code_colours(torch.randn(5, 2)).shape == (5, 3)


def test_a_map_becomes_squares_of_its_colours():
    vectors = torch.randn(4, 3)
    found = code_pictures(torch.tensor([[[[0, 3], [1, 1]]]]), vectors, side=5)
    assert found.shape == (1, 3, 10, 10)
    assert found.dtype == torch.uint8
    assert (found[0, :, :5, 5:] == found[0, :, 0, 9][:, None, None]).all()
    assert torch.equal(found[0, :, 9, 0], found[0, :, 9, 9])
    assert not torch.equal(found[0, :, 0, 0], found[0, :, 0, 9])


def test_cells_and_bars_are_drawn():
    ax = plt.subplots()[1]
    cells(torch.randn(30, 2), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), ax, 3.0, "two")
    assert ax.get_title() == "two"
    bars = plt.subplots()[1]
    stacked_shares(["a", "b"], {"codes": [1.0, 20.0], "pixels": [2.0, 30.0]}, bars)
    assert [text.get_text().strip() for text in bars.texts] == ["3.000", "50.0"]
    assert len(bars.patches) == 4
    plt.close("all")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="vectors"):
        code_colours(torch.randn(1, 3))
    for codes in (torch.zeros(1, 1, 2, 2), torch.zeros(2, 2, dtype=torch.long)):
        with pytest.raises(ValueError, match="codes"):
            code_pictures(codes, torch.randn(4, 3))
    with pytest.raises(ValueError, match="parts"):
        stacked_shares(["a"], {"x": [1.0, 2.0]}, plt.subplots()[1])
    plt.close("all")
