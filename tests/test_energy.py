"""Energies: the contract over all entries, sums against sums, chains against laws, faults."""

import contract

_NO_BITS = "fits_a_toy_law"  # its toys have three levels; test_bits_are_learned below has two


@contract.over("energy", without=dict.fromkeys(
    ("boltzmann_machine", "small_rbm", "rbm", "dbn", "dbm"), _NO_BITS))  # fmt: skip
def test_contract(entry, promise):
    promise(entry)
