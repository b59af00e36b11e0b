"""Two tests for a room: its properties hold, and every fault planted in it breaks the one it names.

A property is a function without arguments that asserts. A fault takes pytest's monkeypatch, plants
itself and returns the name of the property that must now fail. It must fail by its own assertion,
or by an error that it waits for in vain: code that merely crashes has caught nothing.
"""

from collections.abc import Callable, Sequence

import pytest
import torch


def property_tests(
    properties: Sequence[Callable], faults: Sequence[Callable], seed: int = 0
) -> tuple:
    """``test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)`` in a test file."""
    by_name = {holds.__name__: holds for holds in properties}

    @pytest.mark.parametrize("holds", properties, ids=lambda f: f.__name__)
    def test_property(holds):
        torch.manual_seed(seed)
        holds()

    @pytest.mark.parametrize("fault", faults, ids=lambda f: f.__name__)
    def test_planted_fault(fault, monkeypatch):
        holds = by_name[fault(monkeypatch)]
        torch.manual_seed(seed)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            holds()

    return test_property, test_planted_fault
