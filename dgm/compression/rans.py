"""Asymmetric numeral systems: one whole number that symbols are pushed on and popped from.

Duda (2009, 2013), arXiv:1311.2540; streaming with 32-bit words: Giesen (2014),
arXiv:1402.3392. The words are those of `constriction`'s AnsCoder, bit for bit: bit_stack.py does
the same at speed. Needs torch only, and does without it.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate

WORD = 32  # bits moved between the number and the list at once


class Rans:
    """A stack of bits: symbol v of frequency f_v out of 2^precision adds log2(2^precision / f_v).

    The state s < 2^64 is one number. Push: s -> (s div f) 2^precision + s mod f + start, which
    makes s larger by the factor 2^precision / f; pop undoes that. Words of 32 bits are moved to a
    list before s grows too large, and back.

    Parameters
    ----------
    words : the stack to begin with, as `words` gives it.

    Examples
    --------
    >>> stack = Rans()
    >>> for v in (2, 0, 1):
    ...     stack.push(v, [128, 64, 64])
    >>> [stack.pop([128, 64, 64]) for _ in range(3)]  # the last one first
    [1, 0, 2]
    """

    def __init__(self, words: Iterable[int] = ()):
        self.list, self.state = list(words), 0
        while self.list and self.state < 1 << WORD:
            self.state = self.state << WORD | self.list.pop()

    def push(self, symbol: int, frequencies: Sequence[int]) -> None:
        """Put a symbol on the stack; ``frequencies`` (K) sum to a power of two, at most 2^24."""
        precision, start, f = self._place(symbol, frequencies)
        if self.state >= f << (2 * WORD - precision):  # would grow past 64 bits
            self.list.append(self.state & (1 << WORD) - 1)
            self.state >>= WORD
        self.state = (self.state // f << precision) + self.state % f + start

    def pop(self, frequencies: Sequence[int]) -> int:
        """Take a symbol off the stack: a draw from its law where the bits are random."""
        mask = sum(frequencies) - 1
        ends = accumulate(frequencies)
        symbol = next(v for v, end in enumerate(ends) if self.state & mask < end)
        precision, start, f = self._place(symbol, frequencies)
        self.state = f * (self.state >> precision) + (self.state & mask) - start
        if self.state < 1 << WORD and self.list:
            self.state = self.state << WORD | self.list.pop()
        return symbol

    def words(self) -> list[int]:
        """Everything on the stack as numbers below 2^32, the top last."""
        found, state = list(self.list), self.state
        while state:
            found.append(state & (1 << WORD) - 1)
            state >>= WORD
        return found

    def _place(self, symbol: int, frequencies: Sequence[int]) -> tuple[int, int, int]:
        """Precision of a table, and where in it a symbol starts and how much it has."""
        precision = sum(frequencies).bit_length() - 1
        if sum(frequencies) != 1 << precision or precision > 24:
            got = sum(frequencies)
            raise ValueError(f"frequencies must sum to a power of two up to 2^24, got {got}")
        if not 0 <= symbol < len(frequencies) or frequencies[symbol] < 1:
            raise ValueError(f"symbol must have a frequency of 1 or more, got {symbol}")
        return precision, sum(frequencies[:symbol]), frequencies[symbol]
