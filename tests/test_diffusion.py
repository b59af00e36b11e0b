"""Scores and diffusion: their identities, closed forms and enumerations."""

import contract


@contract.over("diffusion")
def test_contract(entry, promise):
    promise(entry)
