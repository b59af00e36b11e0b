"""Deep energies: the contract over all entries, chains against laws, estimates against sums, faults."""

import math

import contract
import pytest
import torch
from planted_deep_energy import FAULTS

_GAP = "start_from_starts_nearer_to_the_data"  # its loss is a gap, which says nothing of progress


@contract.over("deep_energy", without={"contrastive_energy": _GAP})
def test_contract(entry, promise):
    promise(entry)
