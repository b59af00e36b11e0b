"""A stack that writes nothing and counts, example by example, what a code would take.

Code lengths: Shannon (1948), A mathematical theory of communication, section 9. Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor


class BitMeter:
    """Takes what a codec pushes, and adds up -log2 of its frequencies, row by row.

    Codecs whose pushes hold one symbol of every example in turn (chain_codec.py, flow_codec.py,
    order_codec.py) can be measured with it: ``codec.encode(x, meter)``, at most as many x as the
    codec takes at once. Nothing can be popped.

    Parameters
    ----------
    table : as for the stack (bit_stack.py).

    Examples
    --------
    >>> from dgm.compression.integer_table import IntegerTable
    >>> meter = BitMeter(IntegerTable())
    >>> meter.push(torch.tensor([1, 0]), torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
    >>> meter.bits.round(decimals=2)
    tensor([1., 2.], dtype=torch.float64)
    """

    def __init__(self, table: Callable[[Tensor], Tensor]):
        self.table, self.bits = table, torch.zeros(0, dtype=torch.float64)

    def push(self, symbols: Tensor, log_p: Tensor) -> None:
        """Count symbols (N,) of laws with log masses (N, K); N is B times some whole number.

        With more symbols than examples, the symbols of an example stand side by side.
        """
        found = self.table(log_p)
        bits = found.sum(1).double().log2() - found.gather(1, symbols[:, None])[:, 0].double().log2()
        if len(self.bits) == 0:
            self.bits = bits
        else:
            self.bits = self.bits + bits.view(len(self.bits), -1).sum(1)
