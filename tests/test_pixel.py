import contract


@contract.over("autoregressive", chapter="11")
def test_contract(entry, promise):
    promise(entry)
