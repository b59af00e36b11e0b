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
    n : int
        Examples.

    Examples
    --------
    >>> from dgm.compression.integer_table import IntegerTable
    >>> meter = BitMeter(IntegerTable(), 2)
    >>> meter.push(torch.tensor([1, 0]), torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
    >>> meter.bits.round(decimals=2)
    tensor([1., 2.], dtype=torch.float64)
    """

    def __init__(self, table: Callable[[Tensor], Tensor], n: int):
        self.table, self.bits = table, torch.zeros(n, dtype=torch.float64)

    def push(self, symbols: Tensor, log_p: Tensor) -> None:
        """Count symbols (N,) of laws with log masses (N, K); N is n times some whole number.

        The symbols of an example stand side by side.
        """
        found = self.table(log_p).double().log2()
        own = found.gather(1, symbols[:, None])[:, 0]
        bits = self.table.precision - own
        self.bits = self.bits + bits.view(len(self.bits), -1).sum(1)
