"""Two-sample tests: equal to their definitions, honest p-values, power against another law."""

import math

import pytest
import torch

from dgm.measure.two_sample import energy_distance, mmd


def points(n=500, d=2, seed=0, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def by_hand(a, b, kernel):
    """The unbiased estimate, one pair at a time."""
    within = [
        sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (a, b)
    ]
    across = sum(kernel(u, v) for u in a for v in b) / (len(a) * len(b))
    return float(sum(within) - 2 * across)


def test_both_distances_equal_their_definitions():
    a, b = points(6, 3).double(), points(9, 3, seed=1).double() * 2
    rbf = by_hand(a, b, lambda u, v: torch.exp(-((u - v) ** 2).sum() / (2 * 1.3**2)))
    assert mmd(a, b, bandwidth=1.3).distance == pytest.approx(rbf, abs=1e-9)
    euclid = by_hand(a, b, lambda u, v: -(u - v).norm())
    assert energy_distance(a, b).distance == pytest.approx(euclid, abs=1e-9)


def test_the_median_heuristic_is_the_median_distance_of_the_pooled_sample():
    a, b = points(20), points(30, seed=1)
    median = torch.nn.functional.pdist(torch.cat((a, b)).double()).median().item()
    assert mmd(a, b).distance == pytest.approx(mmd(a, b, bandwidth=median).distance, abs=1e-12)


@pytest.mark.parametrize("test", [mmd, energy_distance])
def test_p_values_are_uniform_under_equal_laws_and_small_under_different_ones(test):
    equal = torch.tensor(
        [
            test(points(40, seed=2 * s), points(30, seed=2 * s + 1), permutations=99).p_value
            for s in range(150)
        ]
    )
    for level in (0.1, 0.5, 0.9):  # within four standard errors
        share = (equal <= level).double().mean().item()
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / 150)
    assert test(points(100), points(100, seed=1, shift=0.7)).p_value == pytest.approx(1 / 201)


@pytest.mark.parametrize("test", [mmd, energy_distance])
def test_two_sample_tests_see_a_wider_law_of_equal_mean_and_take_images(test):
    a, b = points(200, 4), 1.6 * points(150, 4, seed=1)
    assert test(a.view(200, 1, 2, 2), b.view(150, 1, 2, 2)).p_value < 0.01
    assert test(a, a.flip(0)).p_value > 0.9
    with pytest.raises(ValueError, match="a and b differ in shape"):
        test(a, b[:, :3])
    with pytest.raises(ValueError, match="b needs at least 2 rows"):
        test(a, b[:1])
    with pytest.raises(ValueError, match="a holds NaN"):
        test(a * math.nan, b)
