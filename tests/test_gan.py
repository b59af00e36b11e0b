import contract


@contract.over("gan")
def test_contract(entry, promise):
    promise(entry)
