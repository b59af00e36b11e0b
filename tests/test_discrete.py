"""Discrete codes: bounds against sums over all codes, moving averages worked out by hand."""

import contract
import torch


@contract.over("discrete")
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)
