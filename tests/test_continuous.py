"""Structured and continuous flows: the contract, what each layer promises, planted faults."""

import contract


@contract.over("continuous")
def test_contract(entry, promise):
    promise(entry)
